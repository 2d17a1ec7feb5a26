use std::collections::BTreeMap;
use std::ops::Range;

/// Where the values of a document stand in its text: a tree beside the value's own, so that a pointer is walked once
/// for each fault and no pointer is ever stored.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Where its key stands, in bytes; none in a list and for the whole document.
    pub(crate) key: Option<Range<usize>>,
    /// Where it stands itself; of a list or mapping only its beginning.
    pub(crate) value: Range<usize>,
    pub(crate) inside: Inside,
}

#[derive(Debug, Default)]
pub(crate) enum Inside {
    #[default]
    Nothing,
    List(Vec<Place>),
    Mapping(BTreeMap<String, Place>),
}

impl Place {
    /// The place that a JSON pointer names, or the innermost one on the way to it that the document has.
    pub(crate) fn nearest(&self, pointer: &str) -> (&Place, bool) {
        let mut place = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match &place.inside {
                Inside::Nothing => None,
                Inside::List(items) => token.parse().ok().and_then(|index: usize| items.get(index)),
                Inside::Mapping(entries) => entries.get(&token),
            };
            match next {
                Some(next) => place = next,
                None => return (place, false),
            }
        }
        (place, true)
    }

    /// Where a fault of this value is shown: at the value if it is a single one, else at the key that names it.
    pub(crate) fn shown(&self) -> Range<usize> {
        match (&self.inside, &self.key) {
            (Inside::List(_) | Inside::Mapping(_), Some(key)) => key.clone(),
            _ if self.value.is_empty() => self.key.clone().unwrap_or_else(|| self.value.clone()),
            _ => self.value.clone(),
        }
    }
}

/// One token of a JSON pointer, as RFC 6901 writes it.
pub(crate) fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
