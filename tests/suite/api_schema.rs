//! A small checker of JSON against the schemas of an OpenAPI document. Stricter than the standard in one
//! point: a field that the schema does not name is an error, since it is undocumented.

use agentperf::model::time::Timestamp;
use serde_json::{Map, Value};

/// What is wrong with `value`, each with its place; nothing if it is as `schema` says.
pub(crate) fn check(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut checker = Checker { document, wrong: Vec::new() };
    checker.value(schema, value, "$");
    checker.wrong
}

struct Checker<'a> {
    document: &'a Value,
    wrong: Vec<String>,
}

impl<'a> Checker<'a> {
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                let target = self.document.pointer(reference.trim_start_matches('#'));
                self.resolve(target.unwrap_or_else(|| panic!("{reference} leads nowhere")))
            }
            None => schema,
        }
    }

    fn fail(&mut self, at: &str, what: impl std::fmt::Display) {
        self.wrong.push(format!("{at}: {what}"));
    }

    fn value(&mut self, schema: &'a Value, value: &Value, at: &str) {
        let schema = self.resolve(schema);
        for key in ["oneOf", "anyOf"] {
            if let Some(choices) = schema.get(key).and_then(Value::as_array) {
                if !choices.iter().any(|c| check(self.document, c, value).is_empty()) {
                    self.fail(at, format_args!("{value} is none of {key}"));
                }
                return;
            }
        }
        if !self.has_type(schema, value) {
            self.fail(at, format_args!("{value} is no {}", schema["type"]));
            return;
        }
        if schema.get("enum").and_then(Value::as_array).is_some_and(|all| !all.contains(value)) {
            self.fail(at, format_args!("{value} is none of {}", schema["enum"]));
        }
        match value {
            Value::Object(fields) => self.object(schema, fields, at),
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.value(&schema["items"], item, &format!("{at}[{i}]"));
                }
            }
            Value::String(text) if schema["format"] == "date-time" && text.parse::<Timestamp>().is_err() => {
                self.fail(at, format_args!("{text} is no time"));
            }
            Value::Number(n) if schema.get("minimum").is_some_and(|min| n.as_f64() < min.as_f64()) => {
                self.fail(at, format_args!("{n} is too small"));
            }
            _ => {}
        }
    }

    fn has_type(&self, schema: &Value, value: &Value) -> bool {
        let one = |name: &Value| match name.as_str().unwrap() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("unknown type {other}"),
        };
        match schema.get("type") {
            Some(Value::Array(names)) => names.iter().any(one),
            Some(name) => one(name),
            None => true,
        }
    }

    /// The fields and the required names of an object's schema, with those of its parts.
    fn fields(&self, schema: &'a Value, all: &mut Map<String, Value>, required: &mut Vec<String>) {
        let schema = self.resolve(schema);
        all.extend(schema.get("properties").and_then(Value::as_object).cloned().into_iter().flatten());
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        required.extend(names.map(|n| n.as_str().unwrap().to_owned()));
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.fields(part, all, required);
        }
    }

    fn object(&mut self, schema: &'a Value, fields: &Map<String, Value>, at: &str) {
        let (mut known, mut required) = (Map::new(), Vec::new());
        self.fields(schema, &mut known, &mut required);
        for name in required.iter().filter(|name| !fields.contains_key(*name)) {
            self.fail(at, format_args!("{name} is missing"));
        }
        for (name, value) in fields {
            let at = format!("{at}.{name}");
            match (known.get(name), schema.get("additionalProperties")) {
                (Some(field), _) => self.wrong.extend(under(&at, check(self.document, field, value))),
                (None, Some(others)) => self.value(others, value, &at),
                (None, None) if known.is_empty() => {}
                (None, None) => self.fail(&at, "is not documented"),
            }
        }
    }
}

fn under(at: &str, wrong: Vec<String>) -> impl Iterator<Item = String> {
    wrong.into_iter().map(move |text| text.replacen('$', at, 1))
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let document = serde_json::json!({"components": {"schemas": {
        "Part": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "minimum": 0}}},
        "Whole": {"allOf": [
            {"$ref": "#/components/schemas/Part"},
            {"type": "object", "required": ["t"], "properties": {
                "t": {"type": "string", "format": "date-time"},
                "n": {"type": ["string", "null"], "enum": ["x", null]},
                "l": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
                "m": {"type": "object", "additionalProperties": {"type": "integer"}},
            }},
        ]},
    }}});
    let whole = serde_json::json!({"$ref": "#/components/schemas/Whole"});
    let wrong = |value: Value| check(&document, &whole, &value).len();
    let time = "2026-11-21T12:00:00Z";
    assert_eq!(wrong(serde_json::json!({"a": 1, "t": time, "n": null, "l": [{"a": 2}], "m": {"k": 1}})), 0);
    assert_eq!(
        wrong(
            serde_json::json!({"a": -1, "t": "noon", "n": "y", "l": [{}, {"a": 1, "b": 2}], "m": {"k": "v"}})
        ),
        6
    );
    assert_eq!(wrong(serde_json::json!({})), 2);
    assert_eq!(wrong(serde_json::json!({"a": 1, "t": time, "z": 0})), 1);
}
