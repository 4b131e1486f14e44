//! Who may no longer: streams that are open, roles that are taken away, admins that are the last, settings that change.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use host::identity::Role;
use host::identity::role::Grant;
use serde_json::json;

use crate::asking::{Answer, Project, Server, scope};

/// Longer than it may take until a stream ends whose token was revoked.
const ENDS_WITHIN: Duration = Duration::from_secs(4);

/// Somebody who is being told what happens.
fn listener(server: &Server, header: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\n{header}\r\n\r\n",
        server.address
    );
    stream.write_all(request.as_bytes()).expect("it takes the request");
    let mut text = Vec::new();
    while !text.ends_with(b"retry: 2000\n\n\r\n") {
        let mut byte = [0];
        assert_eq!(
            stream.read(&mut byte).expect("it answers"),
            1,
            "{}",
            String::from_utf8_lossy(&text)
        );
        text.push(byte[0]);
    }
    assert!(text.starts_with(b"HTTP/1.1 200"));
    stream
}

/// What is told until the stream ends, and how long that took.
fn until_its_end(mut stream: TcpStream) -> (String, Duration) {
    let begun = Instant::now();
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    // The last chunk is empty; the connection may stay.
    while !text.ends_with(b"0\r\n\r\n") {
        match stream.read(&mut piece).expect("it ends in time") {
            0 => break,
            read => text.extend_from_slice(&piece[..read]),
        }
    }
    (String::from_utf8_lossy(&text).into_owned(), begun.elapsed())
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

fn id(token: &str) -> &str {
    token.split('_').nth(1).expect("an id")
}

#[test]
fn a_stream_ends_soon_after_the_token_the_session_or_the_user_it_came_by() {
    let project = Project::new();
    for name in ["ann", "bob", "eve"] {
        project.user(name, Role::Operator);
    }
    let token = |user: &str| project.token(user, scope(Grant::Read), None);
    let (revoked, kept, of_user) = (token("ann"), token("ann"), token("bob"));
    let server = project.serve();
    let (cookie, csrf) = server.login("eve");
    let (other, _) = server.login("eve");
    let mut staying = listener(&server, &bearer(&kept));
    let by_token = listener(&server, &bearer(&revoked));
    let by_user = listener(&server, &bearer(&of_user));
    let by_session = listener(&server, &format!("cookie: {cookie}"));
    let by_password = listener(&server, &format!("cookie: {other}"));
    server.project.host(&["token", "revoke", id(&revoked)]);
    let (told, took) = until_its_end(by_token);
    assert!(took < ENDS_WITHIN, "{took:?}: {told}");
    server.project.host(&["user", "revoke", "bob"]);
    let (told, took) = until_its_end(by_user);
    assert!(took < ENDS_WITHIN, "{took:?}: {told}");
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf)];
    assert_eq!(server.ask("DELETE", "/api/v1/session", &headers, None).status, 200);
    let (told, took) = until_its_end(by_session);
    assert!(took < ENDS_WITHIN, "{took:?}: {told}");
    server.project.host(&["user", "revoke", "eve"]);
    assert!(until_its_end(by_password).1 < ENDS_WITHIN);
    // Whoever still may is told on.
    server.project.host(&["emit", "news"]);
    let mut text = String::new();
    while !text.contains("event: event") {
        let mut piece = [0; 1024];
        let read = staying.read(&mut piece).expect("it goes on");
        assert!(read > 0, "it has ended: {text}");
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
}

#[test]
fn the_last_admin_stays_one_over_http_also_when_two_go_for_each_other() {
    let project = Project::new();
    for name in ["ann", "bob"] {
        project.user(name, Role::Admin);
    }
    let tokens = ["ann", "bob"].map(|name| project.token(name, scope(Grant::Admin), None));
    let server = project.serve();
    let demote = |token: &str, other: &str| {
        let header = format!("Bearer {token}");
        let headers = [("authorization", header.as_str())];
        let body = json!({ "role": "viewer" });
        server.ask("PATCH", &format!("/api/v1/users/{other}"), &headers, Some(&body))
    };
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let one = scope.spawn(|| demote(&tokens[0], "bob"));
        let two = scope.spawn(|| demote(&tokens[1], "ann"));
        [one, two].map(|asked| asked.join().expect("it is answered")).into()
    });
    let users = server.project.host(&["user", "list"]);
    let roles: Vec<&str> = users
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|user| user["role"].as_str())
        .collect();
    assert_eq!(roles.iter().filter(|role| **role == "admin").count(), 1, "{answers:?}");
    let left = if users[0]["role"] == "admin" { 0 } else { 1 };
    let name = ["ann", "bob"][left];
    let refused = demote(&tokens[left], name);
    assert_eq!((refused.status, refused.code()), (409, "LAST_ADMIN"), "{refused:?}");
    let header = format!("Bearer {}", tokens[left]);
    let headers = [("authorization", header.as_str())];
    let refused = server.ask("DELETE", &format!("/api/v1/users/{name}"), &headers, None);
    assert_eq!((refused.status, refused.code()), (409, "LAST_ADMIN"), "{refused:?}");
    // Whoever sits at the machine may.
    assert_eq!(server.project.host(&["user", "revoke", name])["name"], name);
}

#[test]
fn a_role_that_is_taken_away_counts_from_the_next_request_of_a_session() {
    let project = Project::new();
    project.user("ann", Role::Admin);
    project.user("bob", Role::Admin);
    let server = project.serve();
    let (cookie, csrf) = server.login("ann");
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf)];
    assert_eq!(server.ask("GET", "/api/v1/users", &headers, None).status, 200);
    server.project.host(&["user", "role", "ann", "operator"]);
    let refused = server.ask("GET", "/api/v1/users", &headers, None);
    assert_eq!((refused.status, refused.code()), (403, "ROLE_MISSING"));
    let body = json!({ "user": "bob", "scope": "admin" });
    let refused = server.ask("POST", "/api/v1/tokens", &headers, Some(&body));
    assert_eq!(
        (refused.status, refused.code()),
        (403, "ROLE_MISSING"),
        "no token that is wider than oneself"
    );
}

#[test]
fn admin_users_in_the_projects_file_count_while_it_serves() {
    let project = Project::new();
    project.user("ann", Role::Viewer);
    let token = project.token("ann", scope(Grant::Admin), None);
    let server = project.serve();
    let header = format!("Bearer {token}");
    let role = || {
        let shown = server.ask("GET", "/api/v1/session", &[("authorization", &header)], None);
        shown.body["data"]["role"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(role(), "viewer");
    for (says, expected) in [("ADMIN_USERS=ann\n", "admin"), ("ADMIN_USERS=bob\n", "viewer")] {
        server.project.write(".env", says);
        let give_up_at = Instant::now() + Duration::from_secs(40);
        while role() != expected {
            assert!(Instant::now() < give_up_at, "{says} does not count");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_secret_that_is_saved_while_it_serves_is_in_no_act_from_then_on() {
    const SECRET: &str = "sk-PLANTED-while-it-serves-1234";
    let project = Project::new();
    project.user("ann", Role::Admin);
    let token = project.token("ann", scope(Grant::Admin), None);
    let server = project.serve();
    let header = format!("Bearer {token}");
    let headers = [("authorization", header.as_str())];
    server.project.write(".env", &format!("OPENAI_API_KEY={SECRET}\n"));
    let give_up_at = Instant::now() + Duration::from_secs(40);
    loop {
        let body = json!({ "playbook": "one", "why": format!("with {SECRET}") });
        let paused = server.ask("POST", "/api/v1/pauses", &headers, Some(&body));
        assert_eq!(paused.status, 200, "{paused:?}");
        let acts = server
            .project
            .host(&["audit", "tail", "-n", "1", "--what", "playbook.pause"]);
        let why = acts[0]["details"]["why"].as_str().expect("a text");
        if why == "with [masked:OPENAI_API_KEY]" {
            break;
        }
        assert!(Instant::now() < give_up_at, "it is written down as it is: {why}");
        let body = json!({ "playbook": "one" });
        let resumed = server.ask("POST", "/api/v1/pauses/resume", &headers, Some(&body));
        assert_eq!(resumed.status, 200, "{resumed:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let shown = server.ask("GET", "/api/v1/pauses", &headers, None);
    assert!(!format!("{shown:?}").contains(SECRET), "nor in what it tells of");
}
