use super::*;
use crate::config::ini::Ini;

fn facts() -> LocalFacts {
    let addresses = ["10.1.2.3", "192.168.7.8", "8.8.4.4", "fd00::1"];
    LocalFacts {
        addresses: addresses.map(|ip| ip.parse().unwrap()).to_vec(),
        hostname: "store7".to_owned(),
        ..LocalFacts::none()
    }
}

/// Reads `text`; its pairs must be `expected`, and the findings have to contain `says`, one each.
fn check(text: &str, expected: &str, says: &[&str]) {
    let mut found = Diagnostics::default();
    let ini = Ini::parse(text, Path::new("/etc/a.conf"), &facts(), &mut found);
    let pairs: Vec<_> =
        ini.sections()[0].entries.iter().map(|entry| format!("{}={}", entry.name, entry.value)).collect();
    assert_eq!(pairs.join(" "), expected, "{text}");
    let found: Vec<_> = found.as_slice().iter().map(ToString::to_string).collect();
    let fits = found.len() == says.len() && found.iter().zip(says).all(|(found, says)| found.contains(says));
    assert!(fits, "{text}: {found:#?}");
}

#[test]
fn variables_are_replaced_where_a_function_says_so() {
    check("#@set A = 1\na=%{A}", "a=%{A}", &[]);
    check("#@set A = 1\n#@function REPLACE_VARS\na=x%{A}y%{ A }", "a=x1y1", &[]);
    check("#@set A = 1\n#@set B = %{A}2\n#@function REPLACE_VARS\na=%{B}", "a=12", &[]);
    check("#@function REPLACE_VARS\na=%{NO}", "a=%{NO}", &["variable NO was not set"]);
    check("#@function REPLACE_VARS\na=%{open", "a=%{open", &[]);
    check("#@set A\n", "", &["#@set needs NAME = VALUE"]);
}

#[test]
fn no_command_is_run() {
    check("#@set A = $(id)\n#@function REPLACE_VARS\na=[%{A}]", "a=[]", &["commands are not run"]);
    check("#@function SHELL_EXEC\na=id", "a=id", &["commands are not run"]);
    check("#@add_annotation X lib.so", "", &["#@add_annotation"]);
}

#[test]
fn a_variable_that_doubles_itself_stays_small() {
    let text = format!("#@set A = xxxxxxxx\n{}", "#@set A = %{A}%{A}\n".repeat(64));
    let mut found = Diagnostics::default();
    let lines = (1..).zip(text.lines()).map(|(number, text)| Line { text: text.to_owned(), number });
    let mut variables = Variables::new();
    expand(lines.collect(), &Path::new("a").into(), &mut variables, &facts(), &mut found);
    assert_eq!(variables["A"].len(), MAX_VARIABLE_LEN);
}

#[test]
fn conditions() {
    let holds = |condition: &str, expected: &str, says: &[&str]| {
        let text = format!("#@set V = b\n#@if {condition}\na=yes\n#@else\na=no\n#@endif\nz=1");
        check(&text, &format!("a={expected} z=1"), says);
    };
    holds("%{V} in [a, b]", "yes", &[]);
    holds("%{ V } in[b]", "yes", &[]);
    holds("%{V} in [a, c]", "no", &[]);
    holds("%{V} in []", "no", &[]);
    holds("%{LOCAL_HOST} in [store7]", "yes", &[]);
    holds("%{LOCAL_HOST} in [store8]", "no", &[]);
    holds("%{LOCAL_IP} in [1.1.1.1, 10.1.2.3]", "yes", &[]);
    holds("%{LOCAL_IP} in [10.0.0.0/8]", "yes", &[]);
    holds("%{LOCAL_IP} in [fd00::1]", "yes", &[]);
    holds("%{LOCAL_IP} in [10.1.2.0/31]", "no", &[]);
    holds("%{LOCAL_IP} in [10.1.2.3/32]", "no", &[]);
    holds("%{LOCAL_IP} in [11.0.0.0/8]", "no", &[]);
    holds("%{OTHER} in [b]", "no", &["OTHER was not set"]);
    holds("V == b", "no", &["taken as false"]);
    holds("%{V} in b", "no", &["taken as false"]);
    let many = (0..32).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    holds(&format!("%{{V}} in [{many},b]"), "no", &["33 items"]);
}

#[test]
fn blocks() {
    check("#@set V = 1\n  #@if %{V} in [2]\na=1\n  #@endif\nb=2", "b=2", &[]);
    check(
        "#@if %{LOCAL_HOST} in [store7]\n#@set A = 5\n#@endif\n#@function REPLACE_VARS\na=%{A}",
        "a=5",
        &[],
    );
    check("#@if %{LOCAL_HOST} in [x]\na=1", "a=1", &["#@if has no #@endif"]);
    check("#@else\na=1\n#@endif\n#@endfor", "a=1", &["#@else closes", "#@endif closes", "#@endfor closes"]);
    check("#@nonsense x\na=1", "a=1", &["#@nonsense is not a directive"]);
}

#[test]
fn loops() {
    check("#@for i from 1 to 3\na{$i}=v{$i}\n#@endfor\nz=1", "a1=v1 a2=v2 a3=v3 z=1", &[]);
    check("#@for n from 0 to 10 step 5\na={$n}\nb={$i}\n#@endfor", "a=0 b={$i} a=5 b={$i} a=10 b={$i}", &[]);
    check("#@for i from 7 to 7\na={$i}\n#@endfor", "a=7", &[]);
    for bad in ["i from 3 to 1", "i from 1 to 3 step 0", "i from -1 to 3", "i 1 3", "i from a to b"] {
        check(&format!("#@for {bad}\na={{$i}}\n#@endfor"), "a={$i}", &["not repeated"]);
    }
    check("#@for i from 1 to 2\na={$i}", "a={$i}", &["#@for has no #@endfor"]);
    check("#@for i from 0 to 4000000000\na=1\n#@endfor\nb=1", "", &["more than 100000 lines"]);
}

#[test]
fn local_addresses_by_kind_and_number() {
    let get = |value: &str, expected: &str, says: &[&str]| {
        check(&format!("#@function LOCAL_IP_GET\na={value}"), expected, says);
    };
    get("inner", "a=10.1.2.3 a=192.168.7.8", &[]);
    get("PRIVATE", "a=10.1.2.3 a=192.168.7.8", &[]);
    get("outer", "a=8.8.4.4 a=fd00::1", &[]);
    get("inner[0]", "a=10.1.2.3", &[]);
    get("inner[-1]", "a=192.168.7.8", &[]);
    get("inner[2]", "a=", &["no such address"]);
    check("#@function OTHER\na=1", "a=1", &["OTHER is not known"]);
    check("#@function LOCAL_IP_GET\n# note\na=1", "a=1", &["it does nothing"]);
    check("a=1\n#@function LOCAL_IP_GET", "a=1", &["it does nothing"]);
}
