//! The simulation from outside: a data plane in tokio's time.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use flyball_model::{Action, ActionKind, Graph, NodeType, Observation, UnixMillis};
use flyball_ports::{ApplyError, Clock, DataPlane, PlaneError, Support};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::action_behaviour::{ActionBehaviour, ActionReply};
use crate::check::check;
use crate::edit::{again, edit};
use crate::effect::Effect;
use crate::event_queue::MS;
use crate::fault::What;
use crate::fault_effect::FaultEffect;
use crate::ledger::ItemTally;
use crate::network::Network;
use crate::node_types::NodeTypes;
use crate::observe::Stamp;
use crate::plan::{Plan, Unsound};
use crate::truth::{ActionAnswer, Applied, Truth};

/// A simulated pipeline. It lives in tokio's time, so a paused clock makes hours pass in seconds; nothing runs in the
/// background: whoever looks at it lets happen what has happened until then.
pub struct Sim {
    stamp: Stamp,
    began: Instant,
    stock: Arc<NodeTypes>,
    types: OnceLock<Arc<[NodeType]>>,
    state: Mutex<State>,
}

struct State {
    network: Network,
    /// What was shown last.
    graph: Arc<Graph>,
    applied: Vec<Applied>,
}

impl Sim {
    /// Begins now. To be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the plan.
    pub fn new(plan: Plan) -> Result<Arc<Self>, Unsound> {
        let stock = Arc::new(NodeTypes::new(plan.world.clone(), &plan.graph, plan.retries.clone()));
        check(&plan, &stock)?;
        let began = Instant::now();
        let strikes = plan.faults.faults.into_iter().map(FaultEffect::new).collect();
        let network = Network::new(Arc::clone(&stock), plan.graph, strikes, plan.seed, began);
        let stamp = Stamp { session: plan.session.into(), start: plan.start };
        let state = Mutex::new(State { graph: network.shown.clone().into(), network, applied: Vec::new() });
        Ok(Arc::new(Self { stamp, began, stock, types: OnceLock::new(), state }))
    }

    /// Everything that has happened until now.
    fn caught_up(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        // Asked for under the lock, so that it never goes back.
        let elapsed = Instant::now().saturating_duration_since(self.began);
        state.network.run_until(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
        state
    }

    /// What became of every item so far.
    pub fn account(&self) -> ItemTally {
        self.caught_up().network.ledger.tally()
    }

    /// How it really is.
    pub fn truth(&self) -> Truth {
        self.caught_up().network.truth()
    }

    /// Every action that was asked for through [`DataPlane::apply`], and what was answered, oldest first.
    pub fn applied(&self) -> Vec<Applied> {
        self.state.lock().applied.clone()
    }

    /// Whether every piece that the tickets count is somewhere: in a queue, in hand, or about to leave.
    pub fn is_whole(&self) -> bool {
        let state = self.caught_up();
        state.network.pieces() == state.network.ledger.pieces()
    }

    fn habit(&self, network: &Network, kind: ActionKind) -> ActionBehaviour {
        let by_fault = network.strikes.iter().rev().filter(|strike| strike.is_on()).find_map(|strike| {
            match &strike.fault.what {
                What::Habit { of, is } if *of == kind => Some(is.clone()),
                _ => None,
            }
        });
        by_fault.or_else(|| self.stock.world.habits.get(&kind).cloned()).unwrap_or_default()
    }

    fn take(&self, network: &mut Network, action: &Action) -> (ActionAnswer, ActionBehaviour) {
        let habit = self.habit(network, action.kind());
        let told = self.answer(network, action, &habit);
        (told.unwrap_or_else(ActionAnswer::Refused), habit)
    }

    /// What is answered; an error is a refusal.
    fn answer(
        &self,
        network: &mut Network,
        action: &Action,
        habit: &ActionBehaviour,
    ) -> Result<ActionAnswer, String> {
        if !habit.supported {
            return Err(format!("this plane cannot do {}", action.kind()));
        }
        if habit.answer == ActionReply::Refuses {
            return Err(habit.why.clone());
        }
        let mut changed = network.shown.clone();
        edit(&mut changed, action, &self.stock)?;
        if let Some(why) = network.unrestartable(action) {
            return Err(why);
        }
        let effect = Effect { action: action.clone(), habit: habit.clone() };
        match habit.answer {
            ActionReply::Refuses | ActionReply::DoesNothing => {}
            ActionReply::Does => {
                network.shown = changed;
                network.plan_effect(effect);
            }
            ActionReply::OnlyShows => network.shown = changed,
            ActionReply::OnlyBehaves => network.plan_effect(effect),
            ActionReply::Twice => {
                let second = again(&network.shown, action);
                // What cannot be done a second time is done once.
                let _ = edit(&mut changed, &second, &self.stock);
                network.shown = changed;
                network.plan_effect(effect.clone());
                network.plan_effect(Effect { action: second, ..effect });
            }
            ActionReply::Fails => {
                network.stand_still(action, habit);
                network.list_all();
                network.look_around();
                return Ok(ActionAnswer::Failed(habit.why.clone()));
            }
        }
        Ok(ActionAnswer::Accepted)
    }
}

#[async_trait]
impl DataPlane for Sim {
    fn session(&self) -> &str {
        &self.stamp.session
    }

    async fn observe(&self) -> Result<Observation, PlaneError> {
        self.caught_up().network.show(&self.stamp).map_err(PlaneError)
    }

    async fn graph(&self) -> Result<Arc<Graph>, PlaneError> {
        let mut state = self.caught_up();
        let empty = |strike: &FaultEffect| {
            strike.is_on() && matches!(strike.fault.what, What::EmptyTopology { graph_too: true })
        };
        if state.network.strikes.iter().any(empty) {
            return Ok(Arc::default());
        }
        if *state.graph != state.network.shown {
            state.graph = state.network.shown.clone().into();
        }
        Ok(Arc::clone(&state.graph))
    }

    fn support(&self) -> Vec<Support> {
        let state = self.caught_up();
        let window_ms = self.stock.world.window_ms;
        ActionKind::ALL
            .into_iter()
            .map(|kind| (kind, self.habit(&state.network, kind)))
            .filter(|(_, habit)| habit.supported)
            .map(|(kind, habit)| Support {
                kind,
                settle_ms: if kind == ActionKind::NoOp { 0 } else { habit.settle_ms(window_ms) },
                change: habit.change,
                undo: habit.undo,
                loss: habit.loss,
            })
            .collect()
    }

    fn reading_window(&self) -> Duration {
        Duration::from_millis(self.stock.world.window_ms)
    }

    fn node_types(&self) -> Arc<[NodeType]> {
        Arc::clone(self.types.get_or_init(|| self.stock.node_types().into()))
    }

    async fn apply(&self, action: &Action) -> Result<(), ApplyError> {
        let (told, habit) = {
            let mut state = self.caught_up();
            let (told, habit) = self.take(&mut state.network, action);
            let at_ms = state.network.now / MS;
            state.applied.push(Applied { at_ms, action: action.clone(), told: told.clone() });
            (told, habit)
        };
        if habit.answers_after_ms > 0 {
            tokio::time::sleep(Duration::from_millis(habit.answers_after_ms)).await;
        }
        match told {
            ActionAnswer::Accepted => Ok(()),
            ActionAnswer::Refused(why) => Err(ApplyError::Refused(why)),
            ActionAnswer::Failed(why) => Err(ApplyError::Failed(why)),
        }
    }
}

/// The simulation's own clock: what is written down beside it fits what is seen of it.
impl Clock for Sim {
    fn now(&self) -> UnixMillis {
        let elapsed = Instant::now().saturating_duration_since(self.began).as_millis();
        self.stamp.start.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}
