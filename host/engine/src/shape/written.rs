//! Types as WIT writes them.

use wit_parser::{Function, Handle, Resolve, Type, TypeDef, TypeDefKind, TypeId};

/// Deeper than this is cut: no type of the contract is.
const DEEPEST: usize = 12;

/// A text from a component, fit to be shown.
pub(crate) fn tame(text: &str) -> String {
    crate::quoted::plain(text, 120)
}

/// The definition behind all `use` and `type` of a name.
pub(super) fn root(resolve: &Resolve, id: TypeId) -> Result<(TypeId, &TypeDef), Type> {
    let mut id = id;
    loop {
        let Some(found) = resolve.types.get(id) else { return Err(Type::Id(id)) };
        match found.kind {
            TypeDefKind::Type(Type::Id(inner)) => id = inner,
            TypeDefKind::Type(primitive) => return Err(primitive),
            _ => return Ok((id, found)),
        }
    }
}

/// `func(now: borrow<observation>) -> list<finding>`
pub(super) fn function(resolve: &Resolve, function: &Function) -> String {
    let params: Vec<String> = function
        .params
        .iter()
        .map(|param| format!("{}: {}", tame(&param.name), kind(resolve, &param.ty)))
        .collect();
    let result =
        function.result.as_ref().map(|result| format!(" -> {}", kind(resolve, result))).unwrap_or_default();
    format!("func({}){result}", params.join(", "))
}

/// A type by its name, or as it is put together.
pub(super) fn kind(resolve: &Resolve, ty: &Type) -> String {
    let mut text = String::new();
    write(resolve, ty, 0, &mut text);
    crate::quoted::shortened(text, 300)
}

fn write(resolve: &Resolve, ty: &Type, depth: usize, text: &mut String) {
    // A tuple of tuples doubles with each level: what is too long to be read need not be written.
    if depth > DEEPEST || text.len() > 400 {
        return text.push('…');
    }
    let Type::Id(id) = ty else { return text.push_str(primitive(ty)) };
    let (_, found) = match root(resolve, *id) {
        Ok(found) => found,
        Err(Type::Id(_)) => return text.push('?'),
        Err(alias) => return text.push_str(primitive(&alias)),
    };
    let mut of = |name: &str, inner: &[Option<&Type>]| {
        text.push_str(name);
        for (index, ty) in inner.iter().enumerate() {
            text.push_str(if index == 0 { "<" } else { ", " });
            match ty {
                Some(ty) => write(resolve, ty, depth + 1, text),
                None => text.push('_'),
            }
        }
        if !inner.is_empty() {
            text.push('>');
        }
    };
    match &found.kind {
        TypeDefKind::Handle(Handle::Borrow(id)) => of("borrow", &[Some(&Type::Id(*id))]),
        TypeDefKind::Handle(Handle::Own(id)) => of("own", &[Some(&Type::Id(*id))]),
        TypeDefKind::Option(inner) => of("option", &[Some(inner)]),
        TypeDefKind::List(inner) => of("list", &[Some(inner)]),
        TypeDefKind::Tuple(tuple) => of("tuple", &tuple.types.iter().map(Some).collect::<Vec<_>>()),
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => of("result", &[]),
            (ok, None) => of("result", &[ok.as_ref()]),
            (ok, err) => of("result", &[ok.as_ref(), err.as_ref()]),
        },
        other => text.push_str(&found.name.as_deref().map_or_else(|| other.as_str().to_owned(), tame)),
    }
}

const fn primitive(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(_) => "?",
    }
}
