// Tells agentperf how long a page took: its load, its calls by fetch, its long tasks and its resources.
//
//   <script src="agentperf.js" data-url="http://127.0.0.1:7575" data-key="KEY" data-session="optional"></script>
//
// The key stands in the page, for everybody who can read it: give pages a project of their own, with the pages' origins
// and a low rate. Queries and fragments of addresses are cut off before anything is sent. Nothing is sent of contents.
(function () {
  "use strict";
  var own = document.currentScript.dataset;
  var door = own.url + "/api/v1/frontend-metrics";
  var waiting = [];

  function path(address) {
    var url = new URL(address, location.href);
    return (url.host === location.host ? "" : url.host) + url.pathname;
  }

  function add(kind, name, entry, more) {
    if (waiting.length >= 500) return;
    waiting.push(Object.assign({
      kind: kind,
      name: name,
      duration_ms: Math.max(0, entry.duration),
      start_ms: performance.timeOrigin + entry.startTime
    }, more));
  }

  function send(leaving) {
    if (waiting.length === 0) return;
    var body = JSON.stringify({ session: own.session || null, metrics: waiting.splice(0) });
    var beacon = door + "?key=" + encodeURIComponent(own.key);
    // A beacon outlives the page, and as plain text it needs no question beforehand.
    if (leaving && navigator.sendBeacon && navigator.sendBeacon(beacon, body)) return;
    fetch(door, {
      method: "POST", keepalive: true, credentials: "omit", body: body,
      headers: { "Content-Type": "application/json", "X-Agentperf-Key": own.key }
    }).catch(function () { /* agentperf is not there: the page does not care */ });
  }

  function observe(type, each) {
    try {
      new PerformanceObserver(function (list) { list.getEntries().forEach(each); })
        .observe({ type: type, buffered: true });
    } catch (error) { /* this browser does not know the type */ }
  }

  observe("longtask", function (entry) { add("long_task", location.pathname, entry); });
  observe("resource", function (entry) {
    if (entry.name.indexOf(own.url) === 0) return;
    var api = entry.initiatorType === "fetch" || entry.initiatorType === "xmlhttprequest";
    add(api ? "api_call" : "resource", path(entry.name), entry,
      { size_bytes: entry.transferSize, status: entry.responseStatus || null });
  });
  addEventListener("load", function () {
    // Its end is known once all listeners have run.
    setTimeout(function () {
      var entry = performance.getEntriesByType("navigation")[0];
      if (entry) add("page_load", location.pathname, entry, { size_bytes: entry.transferSize });
      send(false);
    }, 0);
  });
  setInterval(function () { send(false); }, 5000);
  addEventListener("pagehide", function () { send(true); });
})();
