//! Bytes and text between Rust and the engine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rquickjs::function::This;
use rquickjs::{
    Ctx, Error, Exception, Function, Object, Result, String as JsString, TypedArray, Value,
};

/// The text of a string. Half of a surrogate pair becomes U+FFFD.
pub(super) fn text<'js>(ctx: &Ctx<'js>, string: &JsString<'js>) -> Result<String> {
    match string.to_string() {
        Err(Error::Utf8(_)) => {
            let class: Object<'js> = ctx.globals().get("String")?;
            let prototype: Object<'js> = class.get("prototype")?;
            let mend: Function<'js> = prototype.get("toWellFormed")?;
            let mended: JsString<'js> = mend.call((This(string.clone()),))?;
            mended.to_string()
        }
        text => text,
    }
}

/// The bytes of a string (as UTF-8) or of a `Uint8Array`; of `undefined` none.
pub(super) fn bytes<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<Vec<u8>> {
    if value.is_undefined() || value.is_null() {
        return Ok(Vec::new());
    }
    if let Some(string) = value.as_string() {
        return text(ctx, string).map(String::into_bytes);
    }
    let Some(object) = value.as_object().filter(|object| object.is_typed_array::<u8>()) else {
        return Err(Exception::throw_type(ctx, "a string or a Uint8Array is wanted"));
    };
    // The engine lends its memory only where `unsafe` is allowed; Base64 is the quickest of what else there is.
    let class: Object<'js> = ctx.globals().get("Uint8Array")?;
    let prototype: Object<'js> = class.get("prototype")?;
    let encode: Function<'js> = prototype.get("toBase64")?;
    let encoded: JsString<'js> = encode.call((This(object.clone()),))?;
    let encoded = encoded.to_string()?;
    STANDARD.decode(encoded).map_err(|_| Exception::throw_type(ctx, "the bytes cannot be read"))
}

/// A new `Uint8Array`.
pub(super) fn array<'js>(ctx: &Ctx<'js>, bytes: &[u8]) -> Result<Value<'js>> {
    Ok(TypedArray::new_copy(ctx.clone(), bytes)?.into_value())
}
