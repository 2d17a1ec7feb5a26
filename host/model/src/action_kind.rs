//! The kinds of action, in one table: what each is called, what it does, and from which level on it may happen. Every list of kinds
//! follows from it: their order, their names in policies, plugins and journals, the summaries that deciders are told, and the levels.
//!
//! What an action of each kind means is not here: whoever does, simulates or inverts one matches on [`Action`] and leaves no kind out.
//!
//! Called by everybody who names, counts or allows kinds.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Action, MutationPolicy};

macro_rules! kinds {
    ($($kind:ident $name:literal $needs:ident $summary:literal)*) => {
        /// The kinds of action.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        #[allow(missing_docs, reason = "each is the action of the same name")]
        pub enum ActionKind {
            $($kind,)*
        }

        impl ActionKind {
            /// All of them.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$kind),*];

            /// The name in policies, plugins and journals.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// What it does, in a line.
            pub const fn summary(self) -> &'static str {
                match self {
                    $(Self::$kind => $summary,)*
                }
            }

            /// The lowest level that allows it.
            pub const fn needs(self) -> MutationPolicy {
                match self {
                    $(Self::$kind => MutationPolicy::$needs,)*
                }
            }
        }

        impl Action {
            /// Which kind it is of.
            pub const fn kind(&self) -> ActionKind {
                match self {
                    $(Self::$kind { .. } => ActionKind::$kind,)*
                }
            }
        }
    };
}

kinds! {
    NoOp             "no-op"              ReadOnly "change nothing, with a reason"
    ReplaceNode      "replace-node"       Heal     "put a node of another type in this one's place"
    InsertNode       "insert-node"        Full     "put a new node on an edge"
    RemoveNode       "remove-node"        Full     "take a node out and join its neighbours"
    UpdateNodeConfig "update-node-config" Optimize "merge a patch into a node's configuration"
    BypassNode       "bypass-node"        Heal     "let items pass a node unchanged"
    SwitchExecutor   "switch-executor"    Optimize "do a node's work in another executor"
    RestartProcess   "restart-process"    Heal     "start a node's process anew"
    ScaleNode        "scale-node"         Optimize "set how many workers a node has"
    AdjustBuffering  "adjust-buffering"   Optimize "set how many items may wait before a node"
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_called_the_same_in_a_policy_and_in_the_table() {
        for kind in ActionKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn an_action_is_written_with_the_name_of_its_kind() {
        for kind in ActionKind::ALL {
            // Whatever any of them needs; what one does not know, it leaves.
            let said = serde_json::json!({
                "kind": kind.name(), "node": "a", "id": "a", "node_type": "t", "config": {}, "after": [], "patch": {},
                "active": true, "to": "native", "replicas": 1, "capacity": 1
            });
            let action: Action = serde_json::from_value(said).unwrap();
            assert_eq!(action.kind(), kind);
        }
    }
}
