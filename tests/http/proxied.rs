//! Behind a reverse proxy: who is believed, and what follows from it.

use host::identity::{Role, guess};
use serde_json::json;

use crate::asking::{Answer, PASSWORD, Project, Server};
use crate::binary::Binary;
use crate::client::ask;

fn served(settings: &str) -> Server {
    let project = Project::new();
    project.write("host.toml", &format!("[server]\nlisten = \"127.0.0.1:0\"\n{settings}"));
    project.user("ann", Role::Admin);
    project.serve()
}

fn login(server: &Server, name: &str, password: &str, forwarded: &[(&str, &str)]) -> Answer {
    let body = json!({ "name": name, "password": password });
    server.ask("POST", "/api/v1/session", forwarded, Some(&body))
}

#[test]
fn who_is_passed_on_by_a_proxy_does_not_read_what_this_machine_may() {
    for (settings, mark) in [
        ("", "x-forwarded-for: 203.0.113.9"),
        ("", "forwarded: for=203.0.113.9"),
        ("", "via: 1.1 edge"),
        ("trusted_proxies = [\"127.0.0.1\"]", "x-forwarded-for: 203.0.113.9"),
        ("trusted_proxies = [\"127.0.0.1\"]", "accept: */*"),
    ] {
        let server = Binary::start(settings);
        let mark = mark.split_once(": ").expect("a name and a value");
        ask(server.address, "GET", "/api/v1/runs", &[mark], "").is(401, "UNAUTHENTICATED");
        if settings.is_empty() {
            assert_eq!(server.get("/api/v1/runs").status, 200, "they are here themselves");
        }
    }
}

#[test]
fn a_login_over_the_tls_of_a_trusted_proxy_gets_a_cookie_bound_to_tls() {
    let https = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")];
    for (settings, is_bound) in [("trusted_proxies = [\"127.0.0.0/8\"]\n", true), ("", false)] {
        let server = served(settings);
        let opened = login(&server, "ann", PASSWORD, &https);
        let set = opened.header("set-cookie").expect("a cookie");
        assert_eq!(set.starts_with("__Host-"), is_bound, "{settings}: {set}");
        assert_eq!(set.contains("Secure"), is_bound, "{settings}: {set}");
        let cookie = set.split(';').next().expect("a value").to_owned();
        let headers = [https[0], https[1], ("cookie", &*cookie)];
        let shown = server.ask("GET", "/api/v1/session", &headers, None);
        assert_eq!(shown.body["data"]["user"], "ann", "{shown:?}");
    }
}

#[test]
fn guesses_through_a_proxy_pause_the_one_who_guesses_and_not_everybody() {
    let server = served("trusted_proxies = [\"127.0.0.1\"]\n");
    let from = |address: &str, name: &str, password: &str| {
        let told = login(&server, name, password, &[("x-forwarded-for", address)]);
        (told.status, told.code().to_owned())
    };
    let locked = (429, "LOGIN_LOCKED".to_owned());
    for number in 0..guess::FREE_OF_ADDRESS {
        // What they put before their address changes nothing.
        let address = format!("198.51.100.{number}, 203.0.113.9");
        let refused = from(&address, &format!("name{number}"), "a wrong password");
        assert_eq!(refused, (401, "LOGIN_FAILED".to_owned()), "{number}");
    }
    assert_eq!(from("203.0.113.9", "ann", PASSWORD), locked);
    assert_eq!(
        from("203.0.113.10", "ann", PASSWORD).0,
        201,
        "others are not kept waiting"
    );
}
