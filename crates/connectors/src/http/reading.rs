//! Reading settings, so that all that is wrong with them is told at once.

use std::time::Duration;

use http::header::HeaderName;
use pipehat_config::{Diagnostic, Diagnostics, SecretReference, Settings, Span};

use crate::{BuildContext, OperatorCode};

/// What mistakes are reported as.
#[derive(Debug)]
pub(crate) struct ReadingCodes {
    /// A value that makes no sense.
    pub(crate) setting: &'static OperatorCode,
    /// An address that is reached without TLS.
    pub(crate) plaintext: &'static OperatorCode,
}

/// Reads settings and collects what is wrong with them.
pub(crate) struct Reading<'a> {
    pub(crate) codes: &'static ReadingCodes,
    pub(crate) settings: &'a Settings,
    pub(crate) context: &'a BuildContext<'a>,
    pub(crate) diagnostics: &'a mut Diagnostics,
    pub(crate) sound: bool,
}

impl Reading<'_> {
    pub(crate) fn wrong(&mut self, name: &'static str, message: impl Into<String>) {
        self.wrong_with(self.codes.setting, name, message);
    }

    pub(crate) fn wrong_with(
        &mut self,
        code: &OperatorCode,
        name: &'static str,
        message: impl Into<String>,
    ) {
        let span = self.settings.span_of(name).unwrap_or_else(|| self.settings.span()).clone();
        self.wrong_at(code, &span, message);
    }

    pub(crate) fn wrong_at(
        &mut self,
        code: &OperatorCode,
        span: &Span,
        message: impl Into<String>,
    ) {
        let error = Diagnostic::error(code.code, span, message);
        // The message of a setting that makes no sense says itself what may stand there.
        let is_told = code.code == self.codes.setting.code;
        let error = if is_told { error } else { error.with_help(code.remedy) };
        self.diagnostics.push(error);
        self.sound = false;
    }

    /// Keeps a URL out of excerpts that has, or may have, a password in it.
    pub(crate) fn conceal_password(&mut self, name: &'static str) {
        if let Some(setting) = self.settings.get(name)
            && setting.text().is_some_and(|text| text.contains('@'))
        {
            self.diagnostics.conceal(setting.span());
        }
    }

    /// The secret behind a reference, without the line end that editors put behind it.
    pub(crate) fn secret(&mut self, reference: &SecretReference) -> Option<Vec<u8>> {
        match self.context.secrets.secret(reference.name()) {
            Ok(secret) if secret.trim_ascii().is_empty() => {
                let message = format!("the secret `{}` is empty", reference.name());
                self.wrong_at(self.codes.setting, reference.span(), message);
                None
            }
            Ok(secret) => {
                let end = secret.trim_ascii_end().len();
                Some(secret.into_iter().take(end).collect())
            }
            Err(error) => {
                let message = error.to_string();
                if let Some(stand_in) = self.context.secrets.stand_in() {
                    self.diagnostics.warning(self.codes.setting.code, reference.span(), message);
                    return Some(stand_in.to_vec());
                }
                self.wrong_at(self.codes.setting, reference.span(), message);
                None
            }
        }
    }

    pub(crate) fn header_name(&mut self, text: &str, span: &Span) -> Option<HeaderName> {
        let name = HeaderName::try_from(text).ok();
        if name.is_none() {
            self.wrong_at(self.codes.setting, span, "this is not the name of a header");
        }
        name
    }

    pub(crate) fn bytes_max(&mut self, name: &'static str) -> Option<usize> {
        match u32::try_from(self.settings.bytes(name)?) {
            Ok(bytes) if bytes > 0 => usize::try_from(bytes).ok(),
            _ => {
                self.wrong(name, "this must be between 1B and 4GiB");
                None
            }
        }
    }

    /// How long connecting may take, and how long the whole with it. What is not set is no longer than the other lets it.
    pub(crate) fn times(&mut self) -> Option<(Duration, Duration)> {
        let (connect, whole) = (self.time("connect_timeout")?, self.time("timeout")?);
        if connect <= whole {
            return Some((connect, whole));
        }
        if self.settings.is_default("connect_timeout") {
            return Some((whole, whole));
        }
        self.wrong("connect_timeout", "`timeout` includes it, and is shorter");
        Some((connect, whole))
    }

    pub(crate) fn time(&mut self, name: &'static str) -> Option<Duration> {
        let time = self.settings.duration(name)?;
        if time.is_zero() {
            self.wrong(name, "nothing can be done in no time");
        }
        Some(time)
    }
}
