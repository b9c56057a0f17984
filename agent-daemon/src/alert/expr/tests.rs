//! What the parser takes and refuses, and that no text makes it panic or climb too deep.

use proptest::prelude::{prop, proptest};

use super::{
    Expr, LabelSet, Type,
    ast::{Kind, Op},
    functions::FUNCTIONS,
    parse,
};

fn binary(expr: &Expr) -> (Op, &Expr, &Expr) {
    match &expr.kind {
        Kind::Binary(binary) => (binary.op, &binary.left, &binary.right),
        other => panic!("{other:?}"),
    }
}

#[test]
fn operators_bind_as_in_prometheus() {
    let expr = parse("a or b and c > 1 + 2 * 3 ^ 4 ^ 5").unwrap();
    let (op, _, right) = binary(&expr);
    assert_eq!(op, Op::Or);
    let (op, _, right) = binary(right);
    assert_eq!(op, Op::And);
    let (op, _, right) = binary(right);
    assert_eq!(op, Op::Gt);
    let (op, _, right) = binary(right);
    assert_eq!(op, Op::Add);
    let (op, _, right) = binary(right);
    assert_eq!(op, Op::Mul);
    let (op, left, right) = binary(right);
    assert_eq!((op, matches!(left.kind, Kind::Number(3.0))), (Op::Pow, true));
    assert_eq!(binary(right).0, Op::Pow);
    let (op, left, _) = {
        let expr = Box::leak(Box::new(parse("a - b - c").unwrap()));
        binary(expr)
    };
    assert_eq!((op, binary(left).0), (Op::Sub, Op::Sub));
    assert!(matches!(parse("-2^2").unwrap().kind, Kind::Negate(_)));
}

#[test]
fn what_people_write_is_taken() {
    for (text, result) in [
        ("1 + 2", Type::Scalar),
        ("up", Type::Vector),
        ("{__name__=~\"agentperf_.+\", agent!=\"\"}", Type::Vector),
        ("sum by (agent) (rate(x_total[5m])) / on (agent) group_left (pid) y > 0.9", Type::Vector),
        ("sum(rate(x_total[5m])) by (agent)", Type::Vector),
        ("topk(3, x) unless on () vector(1)", Type::Vector),
        ("quantile_over_time(0.9, x[1h] offset 1d)", Type::Vector),
        ("max_over_time(rate(x[1m])[1h:30s] offset 5m)", Type::Vector),
        ("max_over_time(rate(x[1m])[1h:])", Type::Vector),
        ("anomaly(x{agent=\"a\"}[7d], 0.999) > 0", Type::Vector),
        ("forecast_until(disk_free[6h], 0, 0.9) < 4 * 3600", Type::Vector),
        ("x > bool 1", Type::Vector),
        ("time() - timestamp(x) > 60 # late", Type::Vector),
        ("absent(x{a=\"b\",})", Type::Vector),
        ("by", Type::Vector),
        ("sum", Type::Vector),
    ] {
        assert_eq!(parse(text).map(|e| e.result()), Ok(result), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, at, part) in [
        ("", 0, "found the end"),
        ("rate(x)", 5, "[5m]"),
        ("rate(x[5m]", 10, "expected )"),
        ("x[5m] > 1", 6, "no operand"),
        ("1 > 2", 2, "bool only"),
        ("x + bool 2", 2, "comparisons only"),
        ("x and 1", 2, "between vectors"),
        ("histogram_quantile(0.9, x)", 0, "there is no function histogram_quantile here"),
        ("sumovertime(x[5m])", 0, "did you mean sum_over_time"),
        ("anomaly(x[1d], 2)", 15, "above 0.5"),
        ("anomaly(x[1d], scalar(y))", 15, "above 0.5"),
        ("clamp(x, 1)", 0, "takes 3 arguments, found 2"),
        ("{a=~\".*\"}", 0, "no empty value"),
        ("x{a=~\"(\"}", 5, "no regular expression"),
        ("x @ 5", 2, "not supported"),
        ("x offset 5", 9, "expected a duration"),
        ("x[0s]", 2, "above zero"),
        ("x[5m][5m]", 5, "only one range"),
        ("sum(x)[5m]", 0, "[1h:1m]"),
        ("max_over_time(x[7d:1m])", 14, "10080 steps"),
        ("x y", 2, "expected an operator"),
        ("sum(1)", 4, "not a number"),
        ("topk(x)", 0, "a number and a vector"),
        ("x and on (a) group_left y", 13, "need no group_left"),
        ("x == \"a\"", 5, "found the text"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.what.contains(part), "{text}: {error}");
        assert_eq!(error.at, at, "{text}: {error}");
    }
}

#[test]
fn nesting_and_length_are_bounded() {
    for text in [
        "(".repeat(10_000),
        "-".repeat(10_000),
        vec!["x"; 5000].join("+"),
        vec!["x"; 5000].join("^"),
        format!("{}x{}", "abs(".repeat(100), ")".repeat(100)),
        "x".repeat(100_000),
    ] {
        assert!(parse(&text).is_err(), "{}…", &text[..10]);
    }
    assert!(parse(&vec!["x"; 60].join(" or ")).is_ok());
}

#[test]
fn labels_of_a_result_are_known_where_the_expression_says_them() {
    let closed = |names: &[&str]| LabelSet::Closed(names.iter().map(|n| (*n).to_owned()).collect());
    for (text, expected) in [
        ("x > 1", LabelSet::Open),
        ("sum(x)", closed(&[])),
        ("sum by (a, b) (x) / 2 > 1", closed(&["a", "b"])),
        ("1 < sum by (a) (x)", closed(&["a"])),
        ("sum by (a) (x) and y", closed(&["a"])),
        ("sum by (a) (x) or sum by (b) (y)", closed(&["a", "b"])),
        ("sum by (a) (x) * on (a) group_left (c) y", LabelSet::Open),
        ("topk(3, sum by (a) (x))", closed(&["a"])),
        ("vector(1)", closed(&[])),
        ("absent(x{a=\"b\"})", LabelSet::Open),
    ] {
        assert_eq!(parse(text).unwrap().labels(), expected, "{text}");
    }
}

#[test]
fn the_registry_is_in_order() {
    assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_words_panic(words in prop::collection::vec(prop::sample::select(vec![
        "x", "(", ")", "[5m]", "[5m:", "]", "{", "}", "a=\"b\"", "sum", "by", "rate", "offset", "5m", "1", "+",
        "-", "and", "on", "bool", ">", ",", "topk", "'", "anomaly", "group_left", "^",
    ]), 0..40)) {
        let _ = parse(&words.join(" "));
    }
}
