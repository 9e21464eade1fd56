//! The terminal while the demo is watched: another screen, keys as they are pressed, and all of
//! it put back however it ends.
//!
//! Plain control sequences, which every terminal of the last decades knows: this needs no library
//! that knows all others.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::JoinHandle;

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::sync::mpsc;

/// Another screen, no cursor, no wrapping of long lines.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";

/// All of that undone.
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Keys pressed and not looked at yet; further ones are dropped, they can be pressed again.
const KEYS_MAX: usize = 16;

/// What a terminal was before, while a screen is open. Also for the panic hook.
static BEFORE: Mutex<Option<Before>> = Mutex::new(None);

struct Before {
    /// None where keys do not come from a terminal.
    input: Option<Termios>,
}

/// The open screen.
#[derive(Debug)]
pub(crate) struct Screen {
    keys: mpsc::Receiver<u8>,
    closing: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Screen {
    /// Opens it.
    pub(crate) fn open() -> io::Result<Self> {
        put_back_on_panic();
        let input = if io::stdin().is_terminal() { Some(take_keys()?) } else { None };
        let listens = input.is_some();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(Before { input });
        let mut output = io::stdout().lock();
        output.write_all(ENTER.as_bytes())?;
        output.flush()?;
        let (sender, keys) = mpsc::channel(KEYS_MAX);
        let closing = Arc::new(AtomicBool::new(false));
        let mut screen = Self { keys, closing: Arc::clone(&closing), reader: None };
        if listens {
            let read = move || read_keys(&sender, &closing);
            screen.reader = Some(std::thread::Builder::new().name("keys".to_owned()).spawn(read)?);
        }
        Ok(screen)
    }

    /// The next key; for ever when there is no keyboard.
    pub(crate) async fn key(&mut self) -> u8 {
        match self.keys.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }

    /// Columns and rows, as they are now.
    pub(crate) fn size() -> (usize, usize) {
        let size = tcgetwinsize(io::stdout()).ok();
        let size = size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        size.filter(|(columns, rows)| *columns > 0 && *rows > 0).unwrap_or((80, 24))
    }

    /// Shows these lines and nothing else, in one go so that nothing flickers. Fails once a panic
    /// anywhere has put the terminal back: what it said must not be drawn over.
    pub(crate) fn draw(&self, lines: &[String]) -> io::Result<()> {
        if BEFORE.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(io::Error::other("a part of the demo failed"));
        }
        let mut frame = String::from("\x1b[?2026h\x1b[H");
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                frame.push_str("\r\n");
            }
            frame.push_str(line);
            frame.push_str("\x1b[K");
        }
        frame.push_str("\x1b[J\x1b[?2026l");
        let mut output = io::stdout().lock();
        output.write_all(frame.as_bytes())?;
        output.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        if let Some(reader) = self.reader.take() {
            // It looks up ten times a second; that it panicked changes nothing here.
            let _ = reader.join();
        }
        put_back();
    }
}

/// Keys come at once, unseen, and reading waits for a tenth of a second at most. Ctrl-C still
/// interrupts; Ctrl-Z would leave the terminal as it is now, and does nothing.
fn take_keys() -> io::Result<Termios> {
    let before = tcgetattr(io::stdin())?;
    let mut now = before.clone();
    now.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    now.special_codes[SpecialCodeIndex::VMIN] = 0;
    now.special_codes[SpecialCodeIndex::VTIME] = 1;
    now.special_codes[SpecialCodeIndex::VSUSP] = 0;
    tcsetattr(io::stdin(), OptionalActions::Now, &now)?;
    Ok(before)
}

fn read_keys(keys: &mpsc::Sender<u8>, closing: &AtomicBool) {
    let mut input = [0; 16];
    while !closing.load(Ordering::Acquire) {
        let Ok(read) = io::stdin().lock().read(&mut input) else { return };
        match input.get(..read).unwrap_or_default() {
            // Arrows and the like come as an escape and more: not for us.
            [0x1b, ..] | [] => {}
            pressed => {
                for key in pressed {
                    let _ = keys.try_send(*key);
                }
            }
        }
    }
}

/// Puts the terminal back; the second time it does nothing.
fn put_back() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(before) = before else { return };
    let mut output = io::stdout().lock();
    // There is nobody left to tell that the terminal has gone.
    let _ = output.write_all(LEAVE.as_bytes()).and_then(|()| output.flush());
    if let Some(input) = before.input {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &input);
    }
}

/// A panic is told on the screen people come back to.
fn put_back_on_panic() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            put_back();
            next(panic);
        }));
    });
}
