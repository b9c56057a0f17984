// Calls a model by Go's own HTTP client, as it is told line by line, and says what it saw of each call.
//
// Usage: client PORT CERTIFICATE 1|2, the version of HTTP. Commands: `chat MODEL`, `stream MODEL`, `messages MODEL`,
// `together MODEL`: eight chats at once; `growing MODEL`: 40 chats on one connection, written by goroutines whose stacks are of
// different depths, so that some grow when they write.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

var secret = "PLANTED-PROMPT " + strings.Repeat("long ", 2000)

type said struct {
	Status  int      `json:"status"`
	Seconds float64  `json:"seconds"`
	First   *float64 `json:"first"`
	Proto   string   `json:"proto"`
}

func body(command, model string) (string, map[string]any) {
	asked := map[string]any{"model": model, "messages": []map[string]string{{"role": "user", "content": secret}}}
	switch command {
	case "messages":
		asked["max_tokens"], asked["stream"] = 100, true
		return "/v1/messages", asked
	case "stream":
		asked["stream"], asked["stream_options"] = true, map[string]bool{"include_usage": true}
	}
	return "/v1/chat/completions", asked
}

func call(client *http.Client, command, model string) said {
	path, asked := body(command, model)
	data, err := json.Marshal(asked)
	check(err)
	request, err := http.NewRequest("POST", "https://127.0.0.1:"+os.Args[1]+path, bytes.NewReader(data))
	check(err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer PLANTED-KEY")
	start := time.Now()
	answer, err := client.Do(request)
	check(err)
	defer answer.Body.Close()
	var first *float64
	lines := bufio.NewReader(answer.Body)
	for {
		line, err := lines.ReadString('\n')
		if first == nil && (strings.Contains(line, `"content":"PLANTED`) || strings.Contains(line, `"text":"PLANTED`)) {
			now := time.Since(start).Seconds()
			first = &now
		}
		if err == io.EOF {
			break
		}
		check(err)
	}
	if _, streams := asked["stream"]; !streams {
		first = nil
	}
	return said{answer.StatusCode, time.Since(start).Seconds(), first, answer.Proto}
}

// Uses up a stack until little of it is left, a different little each time, and calls from there.
func deep(depth int, then func()) byte {
	var frame [64]byte
	if depth == 0 {
		then()
		return frame[0]
	}
	frame[depth%64] = byte(depth)
	return deep(depth-1, then) + frame[depth%32]
}

func several(client *http.Client, command, model string) []said {
	answers := make([]said, 8)
	var all sync.WaitGroup
	for n := range answers {
		all.Add(1)
		go func(n int) {
			defer all.Done()
			answers[n] = call(client, command, model)
		}(n)
	}
	all.Wait()
	return answers
}

// Writes to a connection of its own from goroutines whose stacks have to grow at different depths.
func growing(pool *x509.CertPool, model string) []said {
	connection, err := tls.Dial("tcp", "127.0.0.1:"+os.Args[1], &tls.Config{RootCAs: pool})
	check(err)
	defer connection.Close()
	answers := bufio.NewReader(connection)
	var all []said
	for depth := 0; depth < 40; depth++ {
		_, asked := body("chat", model)
		data, err := json.Marshal(asked)
		check(err)
		head := fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(data))
		start, done := time.Now(), make(chan struct{})
		go func() {
			defer close(done)
			deep(depth, func() {
				_, err := connection.Write([]byte(head + string(data)))
				check(err)
			})
		}()
		<-done
		answer, err := http.ReadResponse(answers, nil)
		check(err)
		_, err = io.Copy(io.Discard, answer.Body)
		check(err)
		answer.Body.Close()
		all = append(all, said{answer.StatusCode, time.Since(start).Seconds(), nil, answer.Proto})
	}
	return all
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	certificate, err := os.ReadFile(os.Args[2])
	check(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool},
		ForceAttemptHTTP2: os.Args[3] == "2",
	}
	client, out := &http.Client{Transport: transport}, json.NewEncoder(os.Stdout)
	check(out.Encode(map[string]bool{"ready": true}))
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		command, model, _ := strings.Cut(commands.Text(), " ")
		switch command {
		case "together":
			check(out.Encode(several(client, "chat", model)))
		case "growing":
			check(out.Encode(growing(pool, model)))
		default:
			check(out.Encode(call(client, command, model)))
		}
	}
}
