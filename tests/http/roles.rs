//! Who may do what: every route of the table, asked by everybody.

use host::http::Role;
use host::http::routes::{self, Needs, Verb};

use crate::client::ask;
use crate::inside::Inside;

#[test]
fn every_route_is_for_those_who_have_its_role_and_for_nobody_else() {
    let host = Inside::start(&[]);
    let mut walked = 0;
    for route in routes::all() {
        let mut path = route.path.to_owned();
        for place in routes::places(route.path) {
            path = path.replace(&format!("{{{place}}}"), "7");
        }
        let method = route.verb.method();
        for (role, has) in [
            ("", None),
            ("viewer", Some(Role::Viewer)),
            ("operator", Some(Role::Operator)),
            ("admin", Some(Role::Admin)),
        ] {
            let status = ask(host.address, method.as_str(), &path, &[("role", role)], "").status;
            let expected = match (route.needs, has) {
                (Needs::Role(_), None) => Some(401),
                (Needs::Role(needed), Some(has)) if has < needed => Some(403),
                _ => None,
            };
            match expected {
                Some(expected) => assert_eq!(status, expected, "{method} {path} as {role:?}"),
                None => assert!(!matches!(status, 401 | 403), "{method} {path} as {role:?}: {status}"),
            }
            walked += 1;
        }
    }
    assert!(walked > 100, "{walked}");
}

#[test]
fn only_probes_are_open_and_nothing_that_changes_is_for_viewers() {
    for route in routes::all() {
        let is_probe = ["/healthz", "/readyz"].contains(&route.path);
        assert_eq!(route.needs == Needs::Probe, is_probe, "{}", route.path);
        // Whoever is let in may go again.
        if route.verb != Verb::Get && route.name != "session.close" {
            assert!(
                matches!(route.needs, Needs::Nobody | Needs::Role(Role::Operator | Role::Admin)),
                "{}",
                route.path
            );
        }
    }
}

#[test]
fn a_role_that_is_missing_is_named() {
    let host = Inside::start(&[]);
    let refused = ask(host.address, "POST", "/api/v1/events", &[("role", "viewer")], "");
    refused.is(403, "ROLE_MISSING");
    let details = &refused.json()["details"];
    assert_eq!(
        (details["role"].as_str(), details["needed"].as_str()),
        (Some("viewer"), Some("operator"))
    );
}
