//! Somewhere to write lines. A reader that has gone away (`deployvm status | head
//! -1`) ends the output quietly; it never ends the work.

use std::io::Write;

/// A stream of lines.
pub(super) struct Stream {
    to: Box<dyn Write + Send>,
    open: bool,
    guard: fn(&str) -> String,
}

impl Stream {
    /// Writes to this.
    pub fn new(to: impl Write + Send + 'static) -> Self {
        Self { to: Box::new(to), open: true, guard: ToOwned::to_owned }
    }

    /// Lets everything through this first.
    #[must_use]
    pub fn guarded(mut self, guard: fn(&str) -> String) -> Self {
        self.guard = guard;
        self
    }

    /// Whether somebody still reads, as far as is known.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// One text and the end of its line.
    pub fn line(&mut self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    /// A text without the end of its line.
    pub fn write(&mut self, text: &str) {
        self.raw(&(self.guard)(text));
    }

    /// A text as it is: nothing foreign in it may be what the guard is for.
    pub fn raw(&mut self, text: &str) {
        if self.open {
            let written = self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush());
            self.open = written.is_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Error, ErrorKind, Result};
    use std::sync::{Arc, Mutex};

    struct ClosesSoon(Arc<Mutex<u32>>);

    impl Write for ClosesSoon {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            let mut writes = self.0.lock().unwrap();
            *writes += 1;
            if *writes > 1 { Err(Error::from(ErrorKind::BrokenPipe)) } else { Ok(bytes.len()) }
        }
        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_not_tried_again() {
        let writes = Arc::new(Mutex::new(0));
        let mut stream = Stream::new(ClosesSoon(writes.clone()));
        (0..5).for_each(|_| stream.line("x"));
        assert_eq!(*writes.lock().unwrap(), 2);
    }
}
