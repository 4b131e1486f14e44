//! Who may ask what: the whole table, with everybody who could come.

use host::http::routes::{self, Needs, Route, Verb};
use host::identity::role::Grant;
use host::identity::{Role, Scope, token, user};
use serde_json::json;

use crate::asking::{Answer, PASSWORD, Project, Server, chance, now_ms, scope};

/// Somebody who comes, and what is to become of them.
struct Visitor {
    name: &'static str,
    headers: Vec<(String, String)>,
    /// What a route is told apart by in the address.
    query: String,
    expected: Expected,
}

enum Expected {
    /// Known, with this role, for reading and for changing.
    Role(Role),
    /// Known by cookie, and every change is refused with this.
    ReadsOnly(Role, &'static str),
    /// Refused wherever a role is needed.
    Refused(u16, &'static str),
    /// Refused everywhere but where nobody is asked who they are.
    RefusedAnywhere(u16, &'static str),
}

fn bearer(token: &str) -> Vec<(String, String)> {
    vec![("authorization".to_owned(), format!("Bearer {token}"))]
}

fn cookie(cookie: &str, csrf: Option<&str>) -> Vec<(String, String)> {
    let mut headers = vec![("cookie".to_owned(), cookie.to_owned())];
    headers.extend(csrf.map(|csrf| ("x-csrf-token".to_owned(), csrf.to_owned())));
    headers
}

fn path_of(route: &Route) -> String {
    let mut path = route.path.to_owned();
    for name in routes::places(route.path) {
        let value = match name {
            "run" | "incident" => "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "user" => "nobody-here",
            "token" => "0000000000000000",
            _ => "1",
        };
        path = path.replace(&format!("{{{name}}}"), value);
    }
    path
}

fn ask(server: &Server, route: &Route, visitor: &Visitor) -> Answer {
    let path = format!("{}{}", path_of(route), visitor.query);
    let headers: Vec<(&str, &str)> = visitor
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let body = json!({});
    let body = (route.verb != Verb::Get).then_some(&body);
    server.ask(route.verb.method().as_str(), &path, &headers, body)
}

/// Why `answer` is not what should have come of it.
fn wrong(route: &Route, visitor: &Visitor, answer: &Answer) -> Option<String> {
    let refused = (answer.status, answer.code());
    let is_refused = matches!(answer.status, 401 | 403);
    let Needs::Role(needed) = route.needs else {
        let (is_probe, anywhere) = (
            route.needs == Needs::Probe,
            matches!(visitor.expected, Expected::RefusedAnywhere(..)),
        );
        // Whoever tries to log in is told about the password, not about what else came along.
        let is_fine = is_probe || anywhere || !is_refused || answer.code() == "LOGIN_FAILED" || answer.status == 422;
        return (!is_fine).then(|| format!("{refused:?}, though anybody may ask"));
    };
    let by_role = |role: Role| match role >= needed {
        true if is_refused => Some(format!("{refused:?}, though {role} may")),
        false if refused != (403, "ROLE_MISSING") => Some(format!("{refused:?}, though {role} may not")),
        _ => None,
    };
    match visitor.expected {
        Expected::Role(role) => by_role(role),
        Expected::ReadsOnly(role, code) if role >= needed && route.verb != Verb::Get => {
            (refused != (403, code)).then(|| format!("{refused:?}, and not {code}"))
        }
        Expected::ReadsOnly(role, _) => by_role(role),
        Expected::Refused(status, code) | Expected::RefusedAnywhere(status, code) => {
            (refused != (status, code)).then(|| format!("{refused:?}, and not {code}"))
        }
    }
}

#[test]
fn every_route_lets_in_who_may_and_nobody_else() {
    let project = Project::new();
    for role in Role::ALL {
        project.user(role.code(), role);
    }
    project.user("gone", Role::Admin);
    // Somebody else's log-in would clear it away.
    project.user("old", Role::Admin);
    let admin = |grant| project.token("admin", scope(grant), None);
    let (whole, run, read) = (admin(Grant::Admin), admin(Grant::Run), admin(Grant::Read));
    let of = |user: &str| project.token(user, scope(Grant::Admin), None);
    let (viewer, operator, gone) = (of("viewer"), of("operator"), of("gone"));
    let expired = project.token("admin", scope(Grant::Admin), Some(1000));
    let revoked = admin(Grant::Admin);
    let id = |text: &str| text[token::PREFIX.len()..].split('_').next().expect("an id").to_owned();
    let old = project.change(|store, identity| {
        token::revoke(store, &id(&revoked), 1).expect("it is there");
        user::revoke(store, "gone", 1).expect("they are there");
        let hours_ago = now_ms() - 9 * 60 * 60 * 1000;
        let opened = identity.login(store, hours_ago, "old", PASSWORD, "192.0.2.9", "c");
        opened.expect("the password is right").1
    });
    let mut forged = whole.clone();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.push(last);
    let server = project.serve();
    let session = |name: &str| server.login(name);
    let sessions = [session("viewer"), session("operator"), session("admin")];
    let (admins, csrf) = session("admin");
    let made_up = format!("host_session={:043}", chance());
    let visitor = |name, headers, expected| Visitor {
        name,
        headers,
        query: String::new(),
        expected,
    };
    let unknown = || Expected::Refused(401, "UNAUTHENTICATED");
    let mut from_elsewhere = cookie(&admins, Some(&csrf));
    from_elsewhere.push(("origin".to_owned(), "https://evil.example".to_owned()));
    let mut twice = bearer(&whole);
    twice.extend(bearer(&read));
    let basic = vec![("authorization".to_owned(), "Basic YWRtaW46YWRtaW4=".to_owned())];
    let planted = cookie(&format!("{made_up}; {admins}"), Some(&csrf));
    let mut visitors = vec![
        visitor("nobody", Vec::new(), unknown()),
        visitor("viewer by token", bearer(&viewer), Expected::Role(Role::Viewer)),
        visitor("operator by token", bearer(&operator), Expected::Role(Role::Operator)),
        visitor("admin by token", bearer(&whole), Expected::Role(Role::Admin)),
        visitor("admin with scope run", bearer(&run), Expected::Role(Role::Operator)),
        visitor("admin with scope read", bearer(&read), Expected::Role(Role::Viewer)),
        visitor(
            "expired token",
            bearer(&expired),
            Expected::Refused(401, "TOKEN_EXPIRED"),
        ),
        visitor(
            "revoked token",
            bearer(&revoked),
            Expected::Refused(401, "TOKEN_REVOKED"),
        ),
        visitor(
            "token of a revoked user",
            bearer(&gone),
            Expected::Refused(401, "TOKEN_REVOKED"),
        ),
        visitor("forged token", bearer(&forged), unknown()),
        visitor("two tokens", twice, unknown()),
        visitor(
            "basic beside a cookie",
            [basic.clone(), cookie(&admins, Some(&csrf))].concat(),
            unknown(),
        ),
        visitor("basic", basic, unknown()),
        visitor(
            "token beside the cookie of somebody else",
            [bearer(&viewer), cookie(&admins, Some(&csrf))].concat(),
            Expected::Role(Role::Viewer),
        ),
        visitor("forged cookie", cookie(&made_up, Some(&csrf)), unknown()),
        visitor("planted cookie", planted, unknown()),
        visitor(
            "old session",
            cookie(&format!("host_session={old}"), None),
            Expected::Refused(401, "SESSION_EXPIRED"),
        ),
        visitor(
            "no csrf",
            cookie(&admins, None),
            Expected::ReadsOnly(Role::Admin, "CSRF_FAILED"),
        ),
        visitor(
            "csrf of another",
            cookie(&admins, Some(&sessions[0].1)),
            Expected::ReadsOnly(Role::Admin, "CSRF_FAILED"),
        ),
        visitor(
            "from elsewhere",
            from_elsewhere,
            Expected::ReadsOnly(Role::Admin, "CSRF_FAILED"),
        ),
        Visitor {
            query: format!("?access_token={whole}"),
            ..visitor(
                "token in the address",
                Vec::new(),
                Expected::RefusedAnywhere(400, "TOKEN_IN_ADDRESS"),
            )
        },
        Visitor {
            query: format!("?q={whole}"),
            ..visitor(
                "token in a value",
                bearer(&whole),
                Expected::RefusedAnywhere(400, "TOKEN_IN_ADDRESS"),
            )
        },
    ];
    for ((cookies, csrf), role) in sessions.iter().zip(Role::ALL) {
        visitors.push(visitor("by session", cookie(cookies, Some(csrf)), Expected::Role(role)));
    }
    let mut faults = Vec::new();
    for visitor in &visitors {
        // The one that ends the session comes last.
        let (others, close): (Vec<&Route>, Vec<&Route>) =
            routes::all().partition(|route| route.name != "session.close");
        for route in others.into_iter().chain(close) {
            let answer = ask(&server, route, visitor);
            if let Some(fault) = wrong(route, visitor, &answer) {
                faults.push(format!(
                    "{} asks {} ({}): {fault}",
                    visitor.name, route.name, route.path
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_table_of_roles_is_as_it_was_reviewed() {
    let mut table = String::new();
    for route in routes::all() {
        let who = match route.needs {
            Needs::Probe | Needs::Nobody => "anybody",
            Needs::Role(role) => role.code(),
        };
        table.push_str(&format!(
            "{who:<9} {:<6} {}\n",
            route.verb.method().as_str(),
            route.path
        ));
    }
    insta::assert_snapshot!(table);
    for route in routes::all().filter(|route| route.verb != Verb::Get && route.name != "session.open") {
        let least = match route.name {
            "session.close" => Role::Viewer,
            _ => Role::Operator,
        };
        assert!(
            matches!(route.needs, Needs::Role(role) if role >= least),
            "{} changes something",
            route.name
        );
    }
}

#[test]
fn a_token_for_one_playbook_reaches_that_one_and_nothing_else() {
    let project = Project::new();
    project.user("bot", Role::Operator);
    let bound = Scope {
        playbooks: ["one".to_owned()].into(),
        ..scope(Grant::Run)
    };
    let text = project.token("bot", bound, None);
    let run = |name: &str| {
        let run = project.host(&["run", name]);
        run["run_id"].as_str().expect("an id").to_owned()
    };
    let (own, other) = (run("one"), run("two"));
    let server = project.serve();
    let headers = bearer(&text);
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let ask = |path: &str| server.ask("GET", path, &headers, None);
    for path in ["/api/v1/audit", "/status", "/openapi.json"] {
        let refused = ask(path);
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
    }
    assert_eq!(ask("/api/v1/session").status, 200, "who one is");
    if routes::all().any(|route| route.path == "/api/v1/runs/{run}") {
        assert_eq!(ask(&format!("/api/v1/runs/{own}")).status, 200);
        let refused = ask(&format!("/api/v1/runs/{other}"));
        assert_eq!((refused.status, refused.code()), (403, "SCOPE_MISSING"));
    }
}
