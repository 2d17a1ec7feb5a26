use alloc::vec::Vec;

use smol_str::SmolStr;

use crate::Json;

/// The fields of an object, in the order in which they were written, each name once. A list and no map: items have few
/// fields, and a map takes ten times the memory of a field that is `0`.
#[derive(Debug, Clone, Default)]
pub struct Object(Vec<(SmolStr, Json)>);

impl Object {
    /// Without fields.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Of fields whose names differ.
    pub(crate) fn of_distinct(fields: Vec<(SmolStr, Json)>) -> Self {
        Self(fields)
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A field.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(have, _)| have == name).map(|(_, value)| value)
    }

    /// A field.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Json> {
        self.0.iter_mut().find(|(have, _)| have == name).map(|(_, value)| value)
    }

    /// Sets a field: in its place where there is one of the name, else behind the others.
    pub fn insert(&mut self, name: impl Into<SmolStr>, value: impl Into<Json>) {
        let name = name.into();
        match self.get_mut(&name) {
            Some(place) => *place = value.into(),
            None => self.0.push((name, value.into())),
        }
    }

    /// The field, made as an empty object where there is none.
    pub fn entry(&mut self, name: &str) -> &mut Json {
        let place = self.0.iter().position(|(have, _)| have == name).unwrap_or_else(|| {
            self.0.push((SmolStr::new(name), Json::Object(Self::new())));
            self.0.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the place was found or made just before")]
        &mut self.0[place].1
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.0.iter().zip(&other.0).all(|((ours, value), (theirs, same_place))| {
                if ours == theirs { value == same_place } else { other.get(ours) == Some(value) }
            })
    }
}

impl<N: Into<SmolStr>, V: Into<Json>> FromIterator<(N, V)> for Object {
    /// The last of several fields of one name counts.
    fn from_iter<T: IntoIterator<Item = (N, V)>>(fields: T) -> Self {
        let mut object = Self::new();
        for (name, value) in fields {
            object.insert(name, value);
        }
        object
    }
}
