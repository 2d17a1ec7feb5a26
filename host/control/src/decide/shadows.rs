//! Shadow deciders: they are asked what the others are asked, beside them and in tasks of their own. Nobody waits for one, and
//! nothing is done on its word.

use std::sync::Arc;

use flyball_model::{Action, DeciderAnswer, DeciderSaid, FailedJudge, PluginKind, TickRecord};
use flyball_ports::{Decided, Judged, Panel, Shadow, Sight, Situation};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::decide::asking::{blank, nanoseconds};
use crate::gates::pace::seconds;
use crate::observe::assess::{ask, refused_to};
use crate::observe::masking::MaskedPlane;

/// What the others are asked in, once it is known.
pub(crate) type Shown = watch::Receiver<Option<Arc<Situation>>>;

/// The questions of a session's shadows that are under way: of each at most one.
#[derive(Default)]
pub(crate) struct Shadows(Vec<UnderWay>);

/// Dropped, it is asked no more.
struct UnderWay {
    name: String,
    tick: u64,
    task: JoinHandle<(DeciderAnswer, Vec<FailedJudge>)>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shadows {
    /// Asks those that do not think already; of the others it is noted that they were not asked.
    pub fn ask(
        &mut self,
        panel: &Panel,
        sight: &Sight,
        shown: &Shown,
        plane: &Arc<MaskedPlane>,
        record: &mut TickRecord,
    ) {
        for shadow in &panel.shadows {
            let name = shadow.decider.name();
            if let Some(busy) = self.0.iter().find(|busy| busy.name == name) {
                let why = format!("it still thinks about tick {}", busy.tick);
                let answer = blank(&*shadow.decider, None, sight, DeciderSaid::NotAsked);
                record.answers.push(DeciderAnswer { shadow: true, why, ..answer });
                continue;
            }
            let task = tokio::spawn(think(shadow.clone(), sight.clone(), shown.clone(), Arc::clone(plane)));
            self.0.push(UnderWay { name: name.to_owned(), tick: record.tick, task });
        }
    }

    /// What has come since the tick before.
    pub async fn heard(&mut self, record: &mut TickRecord) {
        let (ended, thinking): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|under_way| under_way.task.is_finished());
        self.0 = thinking;
        for mut under_way in ended {
            // A judge's panic is caught where it is asked; this is the runtime going away.
            if let Ok((answer, failures)) = (&mut under_way.task).await {
                record.answers.push(answer);
                record.failures.extend(failures);
            }
        }
    }
}

async fn think(
    Shadow { decider, within }: Shadow,
    sight: Sight,
    mut shown: Shown,
    plane: Arc<MaskedPlane>,
) -> (DeciderAnswer, Vec<FailedJudge>) {
    let answer = DeciderAnswer { shadow: true, ..blank(&*decider, None, &sight, DeciderSaid::NotAsked) };
    let situation = match shown.wait_for(Option::is_some).await {
        Ok(situation) => situation.clone(),
        Err(_) => None,
    };
    let Some(situation) = situation else {
        let why = "the question was given up before it was asked".to_owned();
        return (DeciderAnswer { why, ..answer }, Vec::new());
    };
    let asked = Instant::now();
    let said = timeout(within, ask(decider.decide(&sight, &situation))).await;
    let answer = DeciderAnswer { took_ns: nanoseconds(asked), ..answer };
    match said {
        Ok(Ok(Judged { said, cost, refused })) => {
            let refused = refused_to(decider.id(), PluginKind::Decider, refused).collect();
            let (said, decision, why) = match said {
                Decided::For(mut decision) => {
                    let action = std::mem::replace(&mut decision.proposal.action, Action::NoOp);
                    decision.proposal.action = plane.masked(action, &[]);
                    (DeciderSaid::Decision, Some(decision), "a shadow is never followed".to_owned())
                }
                Decided::Abstains(why) => (DeciderSaid::Abstains, None, why),
            };
            (DeciderAnswer { said, decision, why, cost, ..answer }, refused)
        }
        Ok(Err(error)) => {
            let said = DeciderSaid::Failed;
            (DeciderAnswer { said, why: error.why, cost: error.cost, ..answer }, Vec::new())
        }
        Err(_) => {
            let why = format!("no answer within {}", seconds(within));
            (DeciderAnswer { said: DeciderSaid::Late, why, ..answer }, Vec::new())
        }
    }
}
