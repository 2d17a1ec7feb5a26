//! Who judges a session is told where it is nobody, and where it changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use flyball_model::*;
use support::*;

/// What people were told with this code.
fn notices(rig: &Rig, wanted: &str) -> Vec<String> {
    let events = rig.told.events.lock();
    let said = events.iter().filter_map(|event| match event {
        Event::Notified(Notice { code, message }) if code == wanted => Some(message.clone()),
        _ => None,
    });
    said.collect()
}

#[tokio::test(start_paused = true)]
async fn a_session_that_no_policy_judges_is_told_once_for_as_long_as_that_lasts() {
    let rig = Rig::new(|_| {});
    *rig.judges.0.lock() = None;
    rig.ticks(5).await;
    let told = notices(&rig, "no-policy");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("it is observed, and nothing is done in it"), "{told:?}");
    let record = rig.tick().await;
    let gate = record.gates.iter().find(|gate| gate.gate == "no-policy").unwrap();
    assert!(!gate.open, "every tick shows it too");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_goes_away_is_told_and_so_is_the_one_that_takes_over() {
    let rig = Rig::new(|_| {});
    rig.tick().await;
    assert!(rig.notices().iter().all(|code| code != "no-policy" && code != "policy-changed"), "all is well");
    rig.publish(2, |panel| panel.policy = "catch-all".into());
    rig.ticks(2).await;
    *rig.judges.0.lock() = None;
    rig.ticks(2).await;
    rig.publish(3, |_| {});
    rig.ticks(2).await;
    let changed = notices(&rig, "policy-changed");
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert!(
        changed[0].contains("judged by the policy catch-all now; the policy p judged it before"),
        "{changed:?}"
    );
    assert!(changed[1].contains("judged by the policy p now; none judged it before"), "{changed:?}");
    let gone = notices(&rig, "no-policy");
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert!(gone[0].contains("any more, the policy catch-all did"), "{gone:?}");
}
