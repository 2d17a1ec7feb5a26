//! How the verdicts of several validators make one.
//!
//! A verdict is a yes, a no, or unclear: a validator that fails, or asks for a person, has said neither. Unclear is never a
//! yes, and `not` does not make it one: the logic is Kleene's (S. C. Kleene, Introduction to Metamathematics, 1952,
//! § 64), in which a group says no only where it would whatever the unclear ones had said. At the top, unclear is a no.
//!
//! A validator that fails and may, by its policy, never stands in the way: where a group's word depends on it, the word is
//! `Absent`, which passes, below a `not` too. An amendment is a no to the action as it stands and a yes to another one: a
//! group that would say no takes the first amendment of its members where that could help; then everything is asked
//! again, of the amended action. In `not` it is unclear.

use flyball_model::{Action, GroupForm, Reason, Rule};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::act::checks::reason;

/// What a validator, or a group of them, says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Word {
    Yes,
    No(Reason),
    Unclear(Reason),
    Amended(Action),
    /// It failed, and its policy says that it may: as if it were not there.
    Absent,
}

/// Whoever asks the members of groups, and is told of each group's word.
pub(crate) trait Ask<V>: Send {
    fn ask<'a>(&'a mut self, validator: &'a V, within: Option<&'a str>) -> BoxFuture<'a, Word>;
    fn group(&mut self, name: &str, within: Option<&str>, word: &Word);
}

/// Asks in order, and no more than is needed.
pub(crate) fn word<'a, V: Sync>(
    rule: &'a Rule<V>,
    within: Option<&'a str>,
    asking: &'a mut dyn Ask<V>,
) -> BoxFuture<'a, Word> {
    async move {
        let (name, form, members) = match rule {
            Rule::One(one) => return asking.ask(one, within).await,
            Rule::Group { name, form, members } => (name, *form, members),
        };
        let mut tally = Tally::new(name, form, members.len());
        for member in members {
            let said = word(member, Some(name), asking).await;
            if tally.heard(said) {
                break;
            }
        }
        let said = tally.word();
        asking.group(name, within, &said);
        said
    }
    .boxed()
}

struct Tally<'a> {
    name: &'a str,
    form: GroupForm,
    members: usize,
    asked: usize,
    yes: usize,
    absent: usize,
    amended: Vec<Action>,
    unclear: Vec<Reason>,
    no: Vec<Reason>,
}

impl<'a> Tally<'a> {
    fn new(name: &'a str, form: GroupForm, members: usize) -> Self {
        let (amended, unclear, no) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, form, members, asked: 0, yes: 0, absent: 0, amended, unclear, no }
    }

    /// Whether the rest need not be asked.
    fn heard(&mut self, said: Word) -> bool {
        self.asked += 1;
        match said {
            Word::Yes => self.yes += 1,
            Word::Absent => self.absent += 1,
            Word::No(why) => self.no.push(why),
            Word::Unclear(why) => self.unclear.push(why),
            Word::Amended(action) => self.amended.push(action),
        }
        match self.form {
            GroupForm::All => self.yes + self.absent < self.asked,
            GroupForm::AtLeast(least) => self.yes >= least || self.could_be() < least,
            GroupForm::Not => true,
        }
    }

    /// How many may still allow, this action or an amended one.
    fn could_be(&self) -> usize {
        let left = self.members.saturating_sub(self.asked);
        self.yes + self.absent + self.amended.len() + left
    }

    fn word(mut self) -> Word {
        match self.form {
            GroupForm::All => {
                let amended = self.amended.pop().map(Word::Amended);
                let no = self.no.pop().map(Word::No);
                let unclear = self.unclear.pop().map(Word::Unclear);
                let passes = if self.absent == 0 { Word::Yes } else { Word::Absent };
                amended.or(no).or(unclear).unwrap_or(passes)
            }
            GroupForm::AtLeast(least) if self.yes >= least => Word::Yes,
            GroupForm::AtLeast(least) if self.yes + self.absent >= least => Word::Absent,
            GroupForm::AtLeast(least) if self.could_be() >= least => {
                let first = self.amended.into_iter().next();
                first.map_or(Word::Absent, Word::Amended)
            }
            GroupForm::AtLeast(least) => self.too_few(least),
            GroupForm::Not => self.turned(),
        }
    }

    fn too_few(&self, least: usize) -> Word {
        let reasons: Vec<&str> =
            self.no.iter().chain(&self.unclear).map(|why| why.message.as_str()).collect();
        let message = format!(
            "{}: {} allow, of {}; {}",
            self.name,
            self.yes,
            self.form.words(self.members),
            reasons.join("; ")
        );
        let why = reason("too-few-allow", message);
        if self.could_be() + self.unclear.len() >= least { Word::Unclear(why) } else { Word::No(why) }
    }

    fn turned(self) -> Word {
        if self.yes > 0 {
            let message = format!("{}: what must be denied here is allowed", self.name);
            return Word::No(reason("must-be-denied", message));
        }
        if self.absent > 0 {
            return Word::Absent;
        }
        if !self.amended.is_empty() {
            let message =
                format!("{}: what must be denied here would be allowed if it were changed", self.name);
            return Word::Unclear(reason("denied-in-part", message));
        }
        match self.unclear.into_iter().next() {
            Some(why) => Word::Unclear(why),
            None => Word::Yes,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Says {
        Yes,
        No,
        Fails,
        MayFail,
        Amends,
    }

    #[derive(Default)]
    struct Asking {
        asked: usize,
        groups: usize,
    }

    impl Ask<Says> for Asking {
        fn ask<'a>(&'a mut self, says: &'a Says, _: Option<&'a str>) -> BoxFuture<'a, Word> {
            self.asked += 1;
            let why = || reason("no", "no".to_owned());
            let word = match says {
                Says::Yes => Word::Yes,
                Says::No => Word::No(why()),
                Says::Fails => Word::Unclear(why()),
                Says::MayFail => Word::Absent,
                Says::Amends => Word::Amended(Action::NoOp),
            };
            async move { word }.boxed()
        }

        fn group(&mut self, _: &str, _: Option<&str>, _: &Word) {
            self.groups += 1;
        }
    }

    fn say(rule: &Rule<Says>) -> (Word, usize) {
        let mut asking = Asking::default();
        let said = word(rule, None, &mut asking).now_or_never().unwrap();
        (said, asking.asked)
    }

    fn group(form: GroupForm, members: &[Says]) -> Rule<Says> {
        let members = members.iter().map(|says| Rule::One(*says)).collect();
        Rule::Group { name: "g".to_owned(), form, members }
    }

    fn short(form: GroupForm, members: &[Says]) -> (&'static str, usize) {
        let (word, asked) = say(&group(form, members));
        let word = match word {
            Word::Yes => "yes",
            Word::No(_) => "no",
            Word::Unclear(_) => "unclear",
            Word::Amended(_) => "amended",
            Word::Absent => "absent",
        };
        (word, asked)
    }

    #[test]
    fn groups_say_what_their_names_say_and_ask_no_more_than_is_needed() {
        use Says::{Amends, Fails, MayFail, No, Yes};
        let all = |members: &[Says]| short(GroupForm::All, members);
        assert_eq!(all(&[Yes, Yes]), ("yes", 2));
        assert_eq!(all(&[Yes, No, Yes]), ("no", 2));
        assert_eq!(all(&[Fails, No]), ("unclear", 1));
        assert_eq!(all(&[MayFail, Yes]), ("absent", 2));
        assert_eq!(all(&[MayFail]), ("absent", 1));
        assert_eq!(all(&[Yes, Amends, No]), ("amended", 2));
        let two = |members: &[Says]| short(GroupForm::AtLeast(2), members);
        assert_eq!(two(&[Yes, No, Yes, No]), ("yes", 3));
        assert_eq!(two(&[Yes, No, No]), ("no", 3));
        assert_eq!(two(&[Yes, No, Fails]), ("unclear", 3));
        assert_eq!(two(&[No, No, Fails]), ("no", 2));
        assert_eq!(two(&[Fails, No, Yes]), ("unclear", 2));
        assert_eq!(two(&[Amends, No, No]), ("no", 3));
        assert_eq!(two(&[Yes, No, Amends]), ("amended", 3));
        assert_eq!(two(&[Yes, Amends, Yes]), ("yes", 3));
        assert_eq!(two(&[Yes, MayFail]), ("absent", 2));
        assert_eq!(two(&[MayFail, No]), ("no", 2));
        let not = |says| short(GroupForm::Not, &[says]).0;
        assert_eq!([Yes, No, Fails, MayFail, Amends].map(not), ["no", "yes", "unclear", "absent", "unclear"]);
    }

    fn rules() -> impl Strategy<Value = Rule<Says>> {
        let leaf = prop::sample::select(vec![Says::Yes, Says::No, Says::Fails]).prop_map(Rule::One);
        leaf.prop_recursive(4, 40, 4, |inner| {
            let members = prop::collection::vec(inner.clone(), 1..4);
            prop_oneof![
                members.clone().prop_map(|members| (GroupForm::All, members)),
                (members, 0..4_usize).prop_map(|(members, least)| {
                    (GroupForm::AtLeast(least.clamp(1, members.len())), members)
                }),
                inner.prop_map(|one| (GroupForm::Not, vec![one])),
            ]
            .prop_map(|(form, members)| Rule::Group { name: "g".to_owned(), form, members })
        })
    }

    /// By counting, without short circuit.
    fn plainly(rule: &Rule<Says>, failing: bool) -> bool {
        match rule {
            Rule::One(Says::Yes) => true,
            Rule::One(Says::Fails) => failing,
            Rule::One(_) => false,
            Rule::Group { form, members, .. } => {
                let yes = members.iter().filter(|member| plainly(member, failing)).count();
                match form {
                    GroupForm::All => yes == members.len(),
                    GroupForm::AtLeast(least) => yes >= *least,
                    GroupForm::Not => yes == 0,
                }
            }
        }
    }

    fn holds(rule: &Rule<Says>, says: Says) -> bool {
        rule.leaves().into_iter().any(|leaf| *leaf == says)
    }

    proptest! {
        #[test]
        fn where_nobody_fails_it_is_plain_logic(rule in rules().prop_filter("sure", |rule| !holds(rule, Says::Fails))) {
            prop_assert_eq!(say(&rule).0 == Word::Yes, plainly(&rule, false));
        }

        #[test]
        fn what_only_fails_allows_nothing(rule in rules()) {
            let only_fails = rule.map(&|_| Says::Fails);
            prop_assert!(matches!(say(&only_fails).0, Word::Unclear(_)));
        }

        #[test]
        fn what_only_fails_and_may_is_never_in_the_way(rule in rules()) {
            let may_fail = rule.map(&|_| Says::MayFail);
            prop_assert_eq!(say(&may_fail).0, Word::Absent);
        }

        #[test]
        fn a_yes_would_be_one_whatever_those_that_failed_had_said(rule in rules()) {
            if say(&rule).0 == Word::Yes {
                prop_assert!(plainly(&rule, true) && plainly(&rule, false));
            }
        }
    }
}
