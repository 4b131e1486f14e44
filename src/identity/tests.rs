//! Who is let in, who is not, and who no longer.

use std::sync::Arc;

use super::*;
use crate::io::chance::SeededChance;
use crate::journal::audit::verify::verify;
use crate::store::engine::Engine;
use crate::store::keys;

const PASSWORD: &str = "correct horse battery";
const FROM: &str = "192.0.2.1";
const HOUR_MS: i64 = 60 * 60 * 1000;

struct World {
    store: Arc<dyn Store>,
    chance: Arc<SeededChance>,
    identity: Identity,
}

impl World {
    fn new() -> World {
        let chance = Arc::new(SeededChance::new(7));
        World {
            store: Arc::new(Engine::in_memory().unwrap()),
            identity: Identity::new(None, chance.clone()),
            chance,
        }
    }

    fn user(&self, name: &str, role: Role) {
        let password = self.identity.passwords.hash(name, PASSWORD).unwrap();
        let new = user::New {
            name,
            role,
            org: None,
            password: Some(&password),
        };
        user::add(&*self.store, &new, 0).unwrap();
    }

    fn login(&self, name: &str, password: &str, now_ms: i64) -> Result<(Session, String), Denied> {
        self.identity.login(&*self.store, now_ms, name, password, FROM, "c")
    }

    fn cookie(&self, secret: &str, now_ms: i64) -> Result<Caller, Denied> {
        self.identity
            .authenticate(&*self.store, now_ms, Presented::Cookie(secret))
    }

    fn bearer(&self, text: &str, now_ms: i64) -> Result<Caller, Denied> {
        self.identity
            .authenticate(&*self.store, now_ms, Presented::Bearer(text))
    }

    fn token(&self, user: &str, grant: role::Grant, expires_ms: Option<i64>) -> (Token, String) {
        let scope = Scope {
            grant,
            ..Scope::whole()
        };
        let id = token::new_id(&*self.chance);
        let new = token::New {
            id: &id,
            user,
            label: "",
            scope,
            expires_ms,
        };
        token::add(&*self.store, &*self.chance, &new, 0).unwrap()
    }

    fn rows(&self, space: keys::Space) -> usize {
        let range = keys::prefix_range(keys::named(space, &[]));
        self.store.scan(range, 100_000, false).unwrap().len()
    }
}

#[test]
fn whoever_knows_the_password_gets_a_session_until_it_is_idle_old_or_ended() {
    let world = World::new();
    world.user("ann", Role::Operator);
    let (session, secret) = world.login(" Ann ", PASSWORD, 0).unwrap();
    let caller = world.cookie(&secret, 1000).unwrap();
    assert_eq!((caller.user.as_str(), caller.role), ("ann", Role::Operator));
    assert!(matches!(caller.proof, Proof::Session { csrf, .. } if csrf == session.csrf));
    let late = session::IDLE_MS;
    assert!(matches!(world.cookie(&secret, late), Err(Denied::SessionExpired)));
    let mut now_ms = 0;
    while now_ms + HOUR_MS < session::LIFE_MS {
        now_ms += HOUR_MS;
        world.cookie(&secret, now_ms).expect("it is used each hour");
    }
    assert!(matches!(
        world.cookie(&secret, now_ms + HOUR_MS),
        Err(Denied::SessionExpired)
    ));
    let (_, secret) = world.login("ann", PASSWORD, now_ms).unwrap();
    assert!(world.identity.logout(&*world.store, now_ms, &secret, "c").unwrap());
    assert!(matches!(world.cookie(&secret, now_ms), Err(Denied::Unauthenticated)));
    assert!(!world.identity.logout(&*world.store, now_ms, &secret, "c").unwrap());
    assert!(verify(&*world.store, None).unwrap().is_sound());
}

#[test]
fn each_login_makes_a_new_secret_which_is_stored_nowhere() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let (_, first) = world.login("ann", PASSWORD, 0).unwrap();
    let (_, second) = world.login("ann", PASSWORD, 0).unwrap();
    assert_ne!(first, second);
    let (_, token) = world.token("ann", role::Grant::Read, None);
    let everything = world
        .store
        .scan((std::ops::Bound::Unbounded, std::ops::Bound::Unbounded), 10_000, false);
    for (key, row) in everything.unwrap() {
        let bytes = [key, row.value].concat();
        let part = &token[22..];
        for secret in [first.as_str(), &second, PASSWORD, part] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{}", keys::describe(&bytes));
        }
    }
}

#[test]
fn of_one_user_ten_sessions_are_open_at_most() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let secrets: Vec<String> = (0..12).map(|_| world.login("ann", PASSWORD, 0).unwrap().1).collect();
    let open = secrets.iter().filter(|secret| world.cookie(secret, 1).is_ok()).count();
    assert_eq!((open, world.rows(keys::Space::Session)), (10, 10));
    assert!(world.cookie(&secrets[11], 1).is_ok(), "the latest is one of them");
}

#[test]
fn another_password_or_a_revocation_ends_every_session_at_once() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let (_, secret) = world.login("ann", PASSWORD, 0).unwrap();
    let hashed = world.identity.passwords.hash("ann", "another horse battery").unwrap();
    user::set_password(&*world.store, "ann", &hashed).unwrap();
    assert!(world.cookie(&secret, 1).is_err());
    assert!(matches!(world.login("ann", PASSWORD, 1), Err(Denied::LoginFailed)));
    let (_, secret) = world.login("ann", "another horse battery", 2).unwrap();
    let (_, token) = world.token("ann", role::Grant::Read, None);
    user::revoke(&*world.store, "ann", 3).unwrap();
    assert!(world.cookie(&secret, 4).is_err());
    assert!(matches!(world.bearer(&token, 4), Err(Denied::TokenRevoked { .. })));
    assert!(matches!(
        world.login("ann", "another horse battery", 4),
        Err(Denied::LoginFailed)
    ));
    assert_eq!(world.rows(keys::Space::Session), 0);
    let again = user::set_role(&*world.store, "ann", Role::Admin);
    assert!(matches!(again, Err(IdentityError::UserRevoked(_))));
}

#[test]
fn a_role_counts_from_the_next_request_on() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let (_, secret) = world.login("ann", PASSWORD, 0).unwrap();
    user::set_role(&*world.store, "ann", Role::Admin).unwrap();
    assert_eq!(world.cookie(&secret, 1).unwrap().role, Role::Admin);
}

#[test]
fn admin_users_are_admins_whatever_their_rows_say() {
    let mut world = World::new();
    for name in ["admin", "ann", "bob"] {
        world.user(name, Role::Viewer);
    }
    let roles = |world: &World| {
        let role = |name: &str| {
            world
                .identity
                .role_of(&user::get(&*world.store, name).unwrap().unwrap())
        };
        [role("admin"), role("ann"), role("bob")]
    };
    assert_eq!(roles(&world), [Role::Admin, Role::Viewer, Role::Viewer]);
    world.identity = Identity::new(Some(" ann, ,BOB"), world.chance.clone());
    assert_eq!(roles(&world), [Role::Viewer, Role::Admin, Role::Admin]);
    world.identity = Identity::new(Some(""), world.chance.clone());
    assert_eq!(
        roles(&world),
        [Role::Viewer; 3],
        "nobody is what it says, and not the preset"
    );
}

#[test]
fn a_token_gives_its_scope_and_never_more_than_its_user_may() {
    let world = World::new();
    world.user("ann", Role::Operator);
    let (_, read) = world.token("ann", role::Grant::Read, None);
    let (_, admin) = world.token("ann", role::Grant::Admin, None);
    let caller = world.bearer(&read, 1).unwrap();
    assert_eq!(caller.role, Role::Viewer);
    assert!(matches!(caller.needs(Role::Operator), Err(Denied::Scope { .. })));
    let caller = world.bearer(&admin, 1).unwrap();
    assert_eq!(caller.role, Role::Operator);
    assert!(matches!(caller.needs(Role::Admin), Err(Denied::Role { .. })));
}

#[test]
fn a_token_is_refused_when_it_is_over_altered_or_another_users() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let (token, text) = world.token("ann", role::Grant::Read, Some(1000));
    assert!(world.bearer(&text, 999).is_ok());
    assert!(matches!(world.bearer(&text, 1000), Err(Denied::TokenExpired { .. })));
    let (other, _) = world.token("ann", role::Grant::Read, None);
    let (id, secret) = text.strip_prefix(token::PREFIX).unwrap().split_once('_').unwrap();
    let mut flipped = text.clone().into_bytes();
    let at = flipped.len() - 2;
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    let forged = [
        String::new(),
        "host_".to_owned(),
        text[..text.len() - 1].to_owned(),
        String::from_utf8(flipped).unwrap(),
        format!("host_{}_{secret}", other.id),
        format!("host_{id}_{secret}x"),
        format!("host_{}_{secret}", "../../../../user"),
        secret.to_owned(),
    ];
    for text in forged {
        assert!(matches!(world.bearer(&text, 1), Err(Denied::Unauthenticated)), "{text}");
    }
    token::revoke(&*world.store, &token.id, 5).unwrap();
    assert!(matches!(world.bearer(&text, 6), Err(Denied::TokenRevoked { .. })));
}

#[test]
fn using_a_token_writes_once_in_ten_minutes() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let (token, text) = world.token("ann", role::Grant::Read, None);
    let before = world.store.stats().batches;
    for now_ms in 0..1000 {
        world.bearer(&text, now_ms).unwrap();
    }
    assert_eq!(world.store.stats().batches, before + 1);
    world.bearer(&text, 11 * 60 * 1000).unwrap();
    assert_eq!(
        token::get(&*world.store, &token.id).unwrap().unwrap().used_ms,
        Some(11 * 60 * 1000)
    );
}

#[test]
fn dead_tokens_make_room_and_live_ones_are_bounded() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let first = world.token("ann", role::Grant::Read, None).0;
    for _ in 1..token::PER_USER_MAX {
        world.token("ann", role::Grant::Read, None);
    }
    let new = token::New {
        id: "0123456789abcdef",
        user: "ann",
        label: "",
        scope: Scope::whole(),
        expires_ms: None,
    };
    let full = token::add(&*world.store, &*world.chance, &new, 0);
    assert!(matches!(full, Err(IdentityError::Full { .. })));
    token::revoke(&*world.store, &first.id, 1).unwrap();
    token::add(&*world.store, &*world.chance, &new, 2).unwrap();
    assert_eq!(world.rows(keys::Space::Token), token::PER_USER_MAX);
}

#[test]
fn guessing_is_paused_longer_and_longer_and_even_the_right_password_waits() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    for _ in 0..guess::FREE_OF_USER {
        assert!(matches!(world.login("ann", "wrong", 0), Err(Denied::LoginFailed)));
    }
    let mut now_ms = 0;
    let mut waits = Vec::new();
    for _ in 0..12 {
        let Err(Denied::LoginLocked { retry_after_ms }) = world.login("ann", PASSWORD, now_ms) else {
            panic!("it is locked at {now_ms}");
        };
        waits.push(retry_after_ms);
        now_ms += retry_after_ms as i64;
        assert!(matches!(world.login("ann", "wrong", now_ms), Err(Denied::LoginFailed)));
    }
    assert_eq!(waits[..3], [1000, 2000, 4000]);
    assert_eq!(waits[11], guess::PAUSE_MAX_MS);
    now_ms += guess::PAUSE_MAX_MS as i64;
    world.login("ann", PASSWORD, now_ms).expect("the pause is over");
    assert!(
        matches!(world.login("ann", "wrong", now_ms), Err(Denied::LoginFailed)),
        "it begins anew"
    );
    let wanted = audit::look::Wanted {
        what: Some("login.locked".to_owned()),
        ..Default::default()
    };
    let told = audit::look::last(&*world.store, &wanted, 100, 1000).unwrap();
    assert_eq!(told.len(), 12, "each pause is told of once");
}

#[test]
fn a_thousand_wrong_passwords_at_once_are_few_that_are_checked_and_rows_stay_bounded() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let checked = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..10 {
            let (world, checked) = (&world, &checked);
            scope.spawn(move || {
                for number in 0..100 {
                    let from = format!("192.0.2.{}", number % 4);
                    let name = if thread % 2 == 0 {
                        "ann".to_owned()
                    } else {
                        format!("nobody{number}")
                    };
                    let denied = world.identity.login(&*world.store, 0, &name, "wrong", &from, "c");
                    if matches!(denied, Err(Denied::LoginFailed)) {
                        checked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let most = 4 * guess::FREE_OF_ADDRESS as usize;
    let checked = checked.into_inner();
    assert!(checked <= most, "{checked} were checked");
    assert!(world.rows(keys::Space::Guess) <= 1024 + 4096 + 2);
    world
        .identity
        .login(&*world.store, 60 * HOUR_MS, "ann", PASSWORD, "192.0.2.1", "c")
        .expect("a day later");
}

#[test]
fn one_network_that_guesses_at_many_names_is_paused_and_others_are_not() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    for number in 0..guess::FREE_OF_ADDRESS {
        let from = format!("2001:db8::{number:x}");
        let denied = world
            .identity
            .login(&*world.store, 0, &format!("name{number}"), "wrong", &from, "c");
        assert!(matches!(denied, Err(Denied::LoginFailed)), "{number}");
    }
    let from_there = world
        .identity
        .login(&*world.store, 0, "ann", PASSWORD, "2001:db8::ffff", "c");
    assert!(matches!(from_there, Err(Denied::LoginLocked { .. })));
    world
        .identity
        .login(&*world.store, 0, "ann", PASSWORD, "2001:db8:1::1", "c")
        .expect("elsewhere");
    assert!(matches!(
        world
            .identity
            .login(&*world.store, 0, "ann", PASSWORD, "2001:db8::1", "c"),
        Err(Denied::LoginLocked { .. })
    ));
}

#[test]
fn a_user_can_be_unlocked() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    for _ in 0..=guess::FREE_OF_USER {
        assert!(world.login("ann", "wrong", 0).is_err());
    }
    assert!(matches!(
        world.login("ann", PASSWORD, 0),
        Err(Denied::LoginLocked { .. })
    ));
    user::unlock(&*world.store, "ann").unwrap();
    world.login("ann", PASSWORD, 0).unwrap();
}

#[test]
fn two_who_add_the_same_name_at_once_make_one_user() {
    let world = World::new();
    let added = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for role in [Role::Viewer, Role::Operator, Role::Admin, Role::Viewer] {
            let (world, added) = (&world, &added);
            scope.spawn(move || {
                let new = user::New {
                    name: "ann",
                    role,
                    org: None,
                    password: None,
                };
                if user::add(&*world.store, &new, 0).is_ok() {
                    added.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(added.into_inner(), 1);
}

#[test]
fn names_are_plain_and_organisations_must_be_there() {
    let world = World::new();
    let new = |name: &'static str, org: Option<&'static str>| user::New {
        name,
        role: Role::Viewer,
        org,
        password: None,
    };
    for name in ["", "Ann", "../ann", "a b", "-ann", "ann\n", "änn", &"a".repeat(65)] {
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
        let refused = user::add(&*world.store, &new(name, None), 0);
        assert!(matches!(refused, Err(IdentityError::Name { .. })), "{name:?}");
    }
    let refused = user::add(&*world.store, &new("ann", Some("acme")), 0);
    assert!(matches!(refused, Err(IdentityError::NotFound { .. })));
    organisation::add(&*world.store, "acme", "Acme", 0).unwrap();
    user::add(&*world.store, &new("ann", Some("acme")), 0).unwrap();
    let members = organisation::members(&*world.store, "acme").unwrap();
    assert_eq!(
        members.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(),
        ["ann"]
    );
}

#[test]
fn there_is_somebody_once_a_password_or_a_live_token_is_there() {
    let world = World::new();
    assert!(!has_anybody(&*world.store, 0).unwrap());
    let new = user::New {
        name: "bot",
        role: Role::Viewer,
        org: None,
        password: None,
    };
    user::add(&*world.store, &new, 0).unwrap();
    assert!(!has_anybody(&*world.store, 0).unwrap(), "it can show nothing");
    world.token("bot", role::Grant::Read, Some(1000));
    assert!(has_anybody(&*world.store, 0).unwrap());
    assert!(!has_anybody(&*world.store, 1000).unwrap());
    world.user("ann", Role::Viewer);
    assert!(has_anybody(&*world.store, 1000).unwrap());
    user::revoke(&*world.store, "ann", 2000).unwrap();
    assert!(!has_anybody(&*world.store, 2000).unwrap());
}

#[test]
fn ten_calls_a_minute_for_a_user_and_fifty_for_an_organisation() {
    let world = World::new();
    let caller = |user: &str| Caller {
        org: Some("acme".to_owned()),
        ..Caller::local(user, Via::Http, "c")
    };
    let quota = quota::Quota::default();
    let take = |user: &str, now_ms: i64| quota::take(&*world.store, &caller(user), "ai", &quota, now_ms);
    for call in 0..10 {
        take("ann", call * 1000).unwrap();
    }
    let Err(denied) = take("ann", 10_000) else {
        panic!("the eleventh")
    };
    assert_eq!(denied.to_string(), "Rate limit exceeded. Try again in 50 seconds.");
    assert!(matches!(
        denied,
        Denied::RateLimited {
            limit_type: "per_user",
            ..
        }
    ));
    assert_eq!(denied.retry_after_seconds(), Some(50));
    take("ann", 60_000).expect("after the wait that it names");
    assert!(take("ann", 60_000).is_err(), "one place was free, and no more");
    for user in ["b", "c", "d", "e"] {
        for _ in 0..10 {
            take(user, 60_500).unwrap();
        }
    }
    let Err(denied) = take("f", 60_500) else {
        panic!("the fifty-first")
    };
    assert!(
        matches!(
            denied,
            Denied::RateLimited {
                limit_type: "per_org",
                ..
            }
        ),
        "{denied:?}"
    );
    quota::take(&*world.store, &caller("f"), "other", &quota, 60_500).expect("other routes are counted apart");
}

#[test]
fn cookies_are_for_this_host_alone_and_a_planted_one_beside_it_is_seen() {
    let header = session::set_cookie(Some("abc"), true);
    for part in [
        "__Host-host_session=abc",
        "HttpOnly",
        "SameSite=Strict",
        "Secure",
        "Path=/",
    ] {
        assert!(header.contains(part), "{header}");
    }
    assert!(session::set_cookie(None, false).contains("Max-Age=0"));
    assert_eq!(session::find_cookie("a=b; host_session=abc", false), Some("abc"));
    assert_eq!(session::find_cookie("host_session=abc; host_session=def", false), None);
    assert_eq!(session::find_cookie("host_session=abc", true), None);
}

#[test]
fn what_is_shown_counts_as_long_as_it_lets_somebody_in_and_looking_is_no_use_of_it() {
    let world = World::new();
    for name in ["ann", "bob"] {
        world.user(name, Role::Viewer);
    }
    let (token, _) = world.token("ann", role::Grant::Read, Some(1000));
    let by_token = Proof::Token { id: token.id.clone() };
    let still = |proof: &Proof, now_ms: i64| still(&*world.store, now_ms, proof).unwrap();
    assert!(still(&by_token, 999) && !still(&by_token, 1000), "it expires");
    assert!(token::get(&*world.store, &token.id).unwrap().unwrap().used_ms.is_none());
    token::revoke(&*world.store, &token.id, 5).unwrap();
    assert!(!still(&by_token, 6));
    let proof = |secret: &str| world.cookie(secret, 0).unwrap().proof;
    let (_, first) = world.login("ann", PASSWORD, 0).unwrap();
    let (_, second) = world.login("ann", PASSWORD, 0).unwrap();
    let (first, second) = (proof(&first), (proof(&second), second));
    let hours = 7 * HOUR_MS;
    assert!(still(&first, hours));
    assert!(
        !still(&first, 8 * HOUR_MS),
        "a page that is left open keeps no session alive"
    );
    world.identity.logout(&*world.store, 1, &second.1, "c").unwrap();
    assert!(still(&first, 1) && !still(&second.0, 1));
    user::revoke(&*world.store, "ann", 2).unwrap();
    assert!(!still(&first, 3));
    let (token, _) = world.token("bob", role::Grant::Read, None);
    user::revoke(&*world.store, "bob", 2).unwrap();
    assert!(!still(&Proof::Token { id: token.id }, 3), "its user was revoked");
}

#[test]
fn what_a_stranger_types_as_a_name_is_in_no_act() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    for name in ["ann", "My Secret Password1"] {
        for _ in 0..=guess::FREE_OF_USER {
            assert!(world.login(name, "wrong", 0).is_err());
        }
    }
    let acts = audit::look::last(&*world.store, &audit::look::Wanted::default(), 10, 10).unwrap();
    let targets: Vec<&str> = acts.iter().map(|act| act.target.as_str()).collect();
    assert_eq!(targets, ["(unknown)", "ann"]);
}

#[test]
fn a_name_written_otherwise_is_counted_as_the_same() {
    let world = World::new();
    world.user("kim", Role::Viewer);
    // The last begins with the sign for kelvin.
    for name in ["kim", "KIM", " kim ", "Kim\t", "\u{212a}im"] {
        assert!(
            matches!(world.login(name, "wrong", 0), Err(Denied::LoginFailed)),
            "{name:?}"
        );
    }
    for name in ["kim", "kIM", "\u{212a}IM"] {
        assert!(
            matches!(world.login(name, PASSWORD, 0), Err(Denied::LoginLocked { .. })),
            "{name:?}"
        );
    }
}

#[test]
fn passwords_and_hashes_are_in_no_debugging_text() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let (session, secret) = world.login("ann", PASSWORD, 0).unwrap();
    let user = user::get(&*world.store, "ann").unwrap().unwrap();
    let text = format!("{user:?} {session:?} {:?}", world.cookie(&secret, 1).unwrap());
    for hidden in ["argon2id", &session.csrf, &secret] {
        assert!(!text.contains(hidden), "{text}");
    }
}

#[test]
fn a_token_is_seen_wherever_it_stands_in_a_text() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let (_, text) = world.token("ann", role::Grant::Read, None);
    for found in [
        text.clone(),
        format!("Bearer {text}"),
        format!("host_{text}"),
        format!("x{text}y"),
    ] {
        assert!(token::is_in(&found), "{found}");
    }
    for other in ["", "host_", "host_0123456789abcdef", "ähost_ä", &text[..text.len() - 1]] {
        assert!(!token::is_in(other), "{other}");
    }
}

#[test]
fn calls_at_once_are_never_more_than_the_quota() {
    let world = World::new();
    let taken = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..12 {
            let (world, taken) = (&world, &taken);
            scope.spawn(move || {
                let caller = Caller {
                    org: Some("acme".to_owned()),
                    ..Caller::local(format!("user{thread}"), Via::Http, "c")
                };
                for _ in 0..12 {
                    let call = quota::take(&*world.store, &caller, "ai", &quota::Quota::default(), 1000);
                    taken.fetch_add(usize::from(call.is_ok()), std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(taken.into_inner(), 50, "of one organisation");
}

#[test]
fn strangers_who_guess_at_a_name_keep_its_owner_out_only_where_nobody_has_seen_them() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let login = |password: &str, from: &str, now_ms: i64| {
        world.identity.login(&*world.store, now_ms, "ann", password, from, "c")
    };
    let (home, stranger) = ("2001:db8:1::7", "192.0.2.66");
    login(PASSWORD, home, 0).unwrap();
    for _ in 0..guess::FREE_OF_USER {
        assert!(matches!(login("wrong", stranger, 1), Err(Denied::LoginFailed)));
    }
    assert!(matches!(
        login(PASSWORD, "198.51.100.9", 1),
        Err(Denied::LoginLocked { .. })
    ));
    login(PASSWORD, "2001:db8:1::8", 1).expect("it is the same network");
    assert!(
        matches!(login("wrong", stranger, 1), Err(Denied::LoginLocked { .. })),
        "this wipes out nothing of theirs"
    );
    // Whoever guesses from there is paused as well.
    for _ in 0..guess::FREE_OF_USER {
        assert!(matches!(login("wrong", home, 2), Err(Denied::LoginFailed)));
    }
    assert!(matches!(login(PASSWORD, home, 2), Err(Denied::LoginLocked { .. })));
    user::unlock(&*world.store, "ann").unwrap();
    login(PASSWORD, home, 2).expect("also there");
    let month_ms = 31 * 24 * HOUR_MS;
    for _ in 0..guess::FREE_OF_USER {
        assert!(login("wrong", stranger, month_ms).is_err());
    }
    assert!(
        matches!(login(PASSWORD, home, month_ms), Err(Denied::LoginLocked { .. })),
        "a month later it counts no longer"
    );
}

#[test]
fn of_one_user_a_few_networks_are_remembered() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    for number in 0..20 {
        let from = format!("192.0.2.{number}");
        let logged_in = world.identity.login(&*world.store, 0, "ann", PASSWORD, &from, "c");
        logged_in.expect("the password is right");
    }
    // The salt, the user, the networks and the addresses.
    let rows = world.rows(keys::Space::Guess);
    assert!(rows <= 1 + 1 + 1 + 20, "{rows}");
    for number in 12..20 {
        let from = format!("192.0.2.{number}");
        let wrong = world.identity.login(&*world.store, 0, "ann", "wrong", &from, "c");
        assert!(matches!(wrong, Err(Denied::LoginFailed)), "each counts for itself");
    }
    assert!(world.rows(keys::Space::Guess) > rows);
}

#[test]
fn whoever_has_many_networks_keeps_nobody_out_who_comes_from_where_they_always_do() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let login = |from: &str| world.identity.login(&*world.store, 0, "ann", PASSWORD, from, "c");
    let home = "192.0.2.1";
    login(home).unwrap();
    // As if each network that shares a row with hers had been used up.
    for number in 0..=guess::FREE_OF_ADDRESS {
        let tried = guess::Tried {
            user: &format!("name{number}"),
            is_known: false,
            from: home,
        };
        let begun = guess::begin(&*world.store, &*world.chance, 0, &tried).unwrap();
        assert_eq!(begun.is_err(), number == guess::FREE_OF_ADDRESS);
    }
    login(home).expect("her own tries are not theirs");
}

#[test]
fn the_last_admin_is_the_last_one_who_can_come_in() {
    let world = World::new();
    world.user("ann", Role::Admin);
    for name in ["bot", "cat", "dan"] {
        let new = user::New {
            name,
            role: Role::Admin,
            org: None,
            password: None,
        };
        user::add(&*world.store, &new, 0).unwrap();
    }
    world.token("bot", role::Grant::Admin, Some(10));
    world.token("cat", role::Grant::Run, None);
    let revoked = world.token("dan", role::Grant::Admin, None).0;
    token::revoke(&*world.store, &revoked.id, 5).unwrap();
    let is_admin = |user: &User| user.role == Role::Admin;
    let demote = |now_ms: i64| user::change_to(&*world.store, "ann", Some(Role::Viewer), None, now_ms, &is_admin);
    assert!(matches!(demote(10), Err(IdentityError::LastAdmin(_))));
    let refused = user::revoke_but(&*world.store, "ann", 10, &is_admin);
    assert!(matches!(refused, Err(IdentityError::LastAdmin(_))));
    world.user("eve", Role::Admin);
    let mut batch = Batch::new();
    restored::hold(&*world.store, 10, &mut batch).unwrap();
    world.store.commit(batch, Durability::Now).unwrap();
    assert!(
        matches!(demote(10), Err(IdentityError::LastAdmin(_))),
        "nobody has said yet that she may"
    );
    restored::say(&*world.store, restored::Word::Keep, 10).unwrap();
    demote(10).expect("eve is one");
}

/// A store on a disk that is full.
struct Full(Arc<dyn Store>);

impl Store for Full {
    fn get(&self, key: &[u8]) -> Result<Option<crate::store::Row>, StoreError> {
        self.0.get(key)
    }

    fn scan(
        &self,
        range: crate::store::KeyRange,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Vec<u8>, crate::store::Row)>, StoreError> {
        self.0.scan(range, limit, reverse)
    }

    fn commit(&self, _: Batch, _: Durability) -> Result<crate::store::CommitNo, StoreError> {
        Err(StoreError::Full { path: "store".into() })
    }

    fn wait_durable(&self, commit: crate::store::CommitNo) -> Result<(), StoreError> {
        self.0.wait_durable(commit)
    }

    fn stats(&self) -> crate::store::StoreStats {
        self.0.stats()
    }
}

#[test]
fn whoever_looks_why_nothing_can_be_written_is_let_in() {
    let world = World::new();
    world.user("ann", Role::Admin);
    let (_, text) = world.token("ann", role::Grant::Read, None);
    let (_, secret) = world.login("ann", PASSWORD, 0).unwrap();
    let full = Full(world.store.clone());
    let now_ms = HOUR_MS;
    for presented in [Presented::Bearer(&text), Presented::Cookie(&secret)] {
        let caller = world
            .identity
            .authenticate(&full, now_ms, presented)
            .expect("it is right");
        assert_eq!(caller.user, "ann");
    }
    let refused = world.identity.login(&full, now_ms, "ann", PASSWORD, FROM, "c");
    assert!(matches!(refused, Err(Denied::Store(_))), "a try must be counted");
}

#[test]
fn an_act_names_the_token_by_which_it_was_done() {
    let world = World::new();
    world.user("ann", Role::Admin);
    let (token, text) = world.token("ann", role::Grant::Run, None);
    let caller = world.bearer(&text, 1).unwrap();
    audit::record(
        &*world.store,
        Durability::Soon,
        &caller.actor(),
        &Act::new("run.cancel", "x"),
        1,
    )
    .unwrap();
    let (_, secret) = world.login("ann", PASSWORD, 1).unwrap();
    let caller = world.cookie(&secret, 1).unwrap();
    audit::record(
        &*world.store,
        Durability::Soon,
        &caller.actor(),
        &Act::new("run.retry", "x"),
        1,
    )
    .unwrap();
    let acts = audit::look::last(&*world.store, &audit::look::Wanted::default(), 10, 10).unwrap();
    let named: Vec<_> = acts
        .iter()
        .map(|act| (act.what.as_str(), act.details.get("by_token")))
        .collect();
    let id = serde_json::Value::String(token.id);
    assert_eq!(
        named,
        [("run.retry", None), ("session.open", None), ("run.cancel", Some(&id))]
    );
}

#[test]
fn a_password_that_is_changed_while_the_old_one_is_checked_opens_no_session() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    let before = user::get(&*world.store, "ann").unwrap().unwrap();
    let open = || {
        let secret = session::new_secret(&*world.chance);
        session::open(&*world.store, 1, &before, &secret, |batch| {
            world.store.commit(batch, Durability::Now)
        })
    };
    open().expect("nothing has changed yet");
    let hashed = world.identity.passwords.hash("ann", "another horse battery").unwrap();
    user::set_password(&*world.store, "ann", &hashed).unwrap();
    assert!(matches!(open(), Err(Denied::LoginFailed)));
    user::revoke(&*world.store, "ann", 2).unwrap();
    assert!(matches!(open(), Err(Denied::LoginFailed)));
    assert_eq!(world.rows(keys::Space::Session), 0);
}

#[test]
fn whoever_is_told_to_come_again_has_not_guessed() {
    let world = World::new();
    world.user("ann", Role::Viewer);
    world.identity.passwords.take_every_place(true);
    for _ in 0..10 * guess::FREE_OF_USER {
        assert!(matches!(world.login("ann", PASSWORD, 0), Err(Denied::LoginBusy)));
    }
    world.identity.passwords.take_every_place(false);
    world.login("ann", PASSWORD, 0).expect("nothing is held against her");
}

#[test]
fn whoever_has_one_right_password_wipes_out_no_wrong_ones_for_others() {
    let world = World::new();
    world.user("eve", Role::Viewer);
    let guess = |number: u32| world.login(&format!("name{number}"), "wrong", 0);
    for number in 0..guess::FREE_OF_ADDRESS - 2 {
        assert!(matches!(guess(number), Err(Denied::LoginFailed)), "{number}");
    }
    world.login("eve", PASSWORD, 0).expect("the password is right");
    for number in 100..102 {
        assert!(matches!(guess(number), Err(Denied::LoginFailed)), "{number}");
    }
    assert!(matches!(guess(200), Err(Denied::LoginLocked { .. })));
}

/// What somebody else does directly before a commit.
type Before = Box<dyn FnOnce(&dyn Store) + Send>;

/// A store in which somebody else is quicker, once.
struct Overtaken(Arc<dyn Store>, std::sync::Mutex<Option<Before>>);

impl Overtaken {
    fn by(world: &World, before: impl FnOnce(&dyn Store) + Send + 'static) -> Overtaken {
        Overtaken(world.store.clone(), std::sync::Mutex::new(Some(Box::new(before))))
    }
}

impl Store for Overtaken {
    fn get(&self, key: &[u8]) -> Result<Option<crate::store::Row>, StoreError> {
        self.0.get(key)
    }

    fn scan(
        &self,
        range: crate::store::KeyRange,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Vec<u8>, crate::store::Row)>, StoreError> {
        self.0.scan(range, limit, reverse)
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<crate::store::CommitNo, StoreError> {
        let before = self.1.lock().unwrap().take();
        if let Some(before) = before {
            before(&*self.0);
        }
        self.0.commit(batch, durability)
    }

    fn wait_durable(&self, commit: crate::store::CommitNo) -> Result<(), StoreError> {
        self.0.wait_durable(commit)
    }

    fn stats(&self) -> crate::store::StoreStats {
        self.0.stats()
    }
}

#[test]
fn of_two_calls_at_once_both_are_counted() {
    let world = World::new();
    let take = |store: &dyn Store| {
        let quota = quota::Quota {
            per_user: 2,
            ..Default::default()
        };
        quota::take(store, &Caller::local("ann", Via::Http, "c"), "ai", &quota, 0)
    };
    let store = Overtaken::by(&world, move |store| take(store).unwrap());
    take(&store).unwrap();
    assert!(matches!(take(&*world.store), Err(Denied::RateLimited { .. })));
}

#[test]
fn of_two_tries_at_once_both_are_counted() {
    let world = World::new();
    let begin = |store: &dyn Store| {
        let tried = guess::Tried {
            user: "ann",
            is_known: true,
            from: FROM,
        };
        guess::begin(store, &SeededChance::new(7), 0, &tried).unwrap()
    };
    begin(&*world.store).expect("the first, which makes the salt");
    let store = Overtaken::by(&world, move |store| begin(store).expect("one of five is free"));
    begin(&store).expect("one of five is free");
    for _ in 3..guess::FREE_OF_USER {
        begin(&*world.store).expect("one of five is free");
    }
    assert!(begin(&*world.store).is_err());
}

#[test]
fn of_two_admins_who_go_for_each_other_at_once_one_stays() {
    let world = World::new();
    for name in ["ann", "bob"] {
        world.user(name, Role::Admin);
    }
    let is_admin = |user: &User| user.role == Role::Admin;
    let demote =
        move |store: &dyn Store, name: &str| user::change_to(store, name, Some(Role::Viewer), None, 0, &is_admin);
    let store = Overtaken::by(&world, move |store| drop(demote(store, "ann").unwrap()));
    assert!(matches!(demote(&store, "bob"), Err(IdentityError::LastAdmin(_))));
    for name in ["cat", "dan"] {
        world.user(name, Role::Admin);
    }
    user::set_role(&*world.store, "bob", Role::Viewer).unwrap();
    let revoke = move |store: &dyn Store, name: &str| user::revoke_but(store, name, 0, &is_admin);
    let store = Overtaken::by(&world, move |store| drop(revoke(store, "cat").unwrap()));
    assert!(matches!(revoke(&store, "dan"), Err(IdentityError::LastAdmin(_))));
}
