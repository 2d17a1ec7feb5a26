use flyball_model::Limits;
use flyball_ports::Heuristic;

use crate::guests::{judge, wasi_guest};
use crate::sights::sight;

#[tokio::test]
async fn a_component_that_imports_wasi_sees_the_ticks_time_and_the_same_randomness_twice() {
    let judge = judge(&wasi_guest(), Limits::default());
    let mut seen = Vec::new();
    for tick in [7, 7, 8] {
        let findings = judge.assess(&sight(3, tick)).await.unwrap().said.findings;
        let evidence = &findings[0].rests_on[0];
        seen.push((evidence.value.unwrap(), evidence.limit.unwrap()));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].0, 1_700_000_007.0);
    assert_eq!(seen[2].0, 1_700_000_008.0);
    assert_ne!(seen[0].1, seen[2].1);
}
