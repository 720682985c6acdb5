//! Somewhere to write lines. A reader that has gone away (`deployvm status | head
//! -1`) ends the output quietly; it never ends the work. Anything else that ends it, such
//! as a full disk, is remembered.

use std::io::{Error, ErrorKind, Write};

/// A stream of lines.
pub(super) struct Stream {
    to: Box<dyn Write + Send>,
    open: bool,
    failed: Option<Error>,
    guard: fn(&str) -> String,
}

impl Stream {
    /// Writes to this.
    pub fn new(to: impl Write + Send + 'static) -> Self {
        Self { to: Box::new(to), open: true, failed: None, guard: ToOwned::to_owned }
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

    /// Why not everything was written, unless nobody wanted to read it.
    pub fn failed(&self) -> Option<&Error> {
        self.failed.as_ref()
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
            if let Err(error) = written {
                self.open = false;
                self.failed = Some(error).filter(|error| error.kind() != ErrorKind::BrokenPipe);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Result;
    use std::sync::{Arc, Mutex};

    struct ClosesSoon(Arc<Mutex<u32>>, ErrorKind);

    impl Write for ClosesSoon {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            let mut writes = self.0.lock().unwrap();
            *writes += 1;
            if *writes > 1 { Err(Error::from(self.1)) } else { Ok(bytes.len()) }
        }
        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_closed_is_not_tried_again() {
        for (kind, failed) in [(ErrorKind::BrokenPipe, None), (ErrorKind::StorageFull, Some(()))] {
            let writes = Arc::new(Mutex::new(0));
            let mut stream = Stream::new(ClosesSoon(writes.clone(), kind));
            (0..5).for_each(|_| stream.line("x"));
            assert_eq!(*writes.lock().unwrap(), 2);
            assert_eq!(stream.failed().map(|error| assert_eq!(error.kind(), kind)), failed);
        }
    }
}
