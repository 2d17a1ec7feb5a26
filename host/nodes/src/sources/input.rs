//! Bytes from a file, a pipe or a terminal, for sources that read them as they come.
//!
//! It upholds that nothing which is read from can hold up anybody else: opening a pipe waits for its writer, and reading
//! waits for what is written, both for as long as others like. That is done on a thread of its own, which nobody waits for
//! at the end; so a writer that says nothing keeps no program from ending. Nothing is read before somebody asks for it: a
//! start that is refused leaves what came to whoever reads next.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

const CHUNK: usize = 64 << 10;

type Open = Box<dyn FnOnce() -> io::Result<File> + Send + Sync>;
type Chunks = mpsc::Receiver<io::Result<Vec<u8>>>;

/// What a thread reads, as it comes.
pub(crate) struct Input {
    /// What the thread is to read, until there is one.
    open: Option<Open>,
    chunks: Option<Chunks>,
    chunk: Vec<u8>,
    /// How much of it was given.
    given: usize,
}

impl Input {
    /// Standard input.
    pub(crate) fn standard() -> io::Result<Self> {
        // Not by way of the program's own handle, whose lock would be held for as long as nothing comes.
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        Ok(Self::of(move || Ok(input)))
    }

    /// A file or a pipe, and how long it is where it is a file. A pipe is opened when it has a writer.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Option<u64>)> {
        let there = std::fs::metadata(path)?;
        if there.is_dir() {
            return Err(io::Error::new(ErrorKind::IsADirectory, "it is a directory, not a file"));
        }
        if there.is_file() {
            // A pipe that takes its place just now does not hold up the start.
            let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
            return Ok((Self::of(move || Ok(file)), Some(there.len())));
        }
        let path = path.to_owned();
        Ok((Self::of(move || File::open(path)), None))
    }

    fn of(open: impl FnOnce() -> io::Result<File> + Send + Sync + 'static) -> Self {
        Self { open: Some(Box::new(open)), chunks: None, chunk: Vec::new(), given: 0 }
    }

    /// What the thread reads. It starts when it is asked for first.
    fn chunks(&mut self) -> io::Result<Option<&mut Chunks>> {
        if let Some(open) = self.open.take() {
            self.chunks = Some(start(open)?);
        }
        Ok(self.chunks.as_mut())
    }
}

fn start(open: Open) -> io::Result<Chunks> {
    // One is read while another is worked on.
    let (tell, chunks) = mpsc::channel(1);
    let work = move || match open() {
        Ok(file) => read(file, &tell),
        // Whoever asked may be gone.
        Err(error) => drop(tell.blocking_send(Err(error))),
    };
    std::thread::Builder::new().name("flyball-reader".to_owned()).spawn(work)?;
    Ok(chunks)
}

/// Until its end, or nobody wants more.
fn read(mut file: File, tell: &mpsc::Sender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let more = match file.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => {
                chunk.truncate(count);
                Ok(chunk)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Whoever shares it may have made it one that does not wait.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(std::time::Duration::from_millis(5));
                continue;
            }
            Err(error) => Err(error),
        };
        let broken = more.is_err();
        if tell.blocking_send(more).is_err() || broken {
            return;
        }
    }
}

impl AsyncRead for Input {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given >= self.chunk.len() {
            let Some(chunks) = self.chunks()? else { return Poll::Ready(Ok(())) };
            match ready!(chunks.poll_recv(context)) {
                Some(chunk) => self.chunk = chunk?,
                None => return Poll::Ready(Ok(())),
            }
            self.given = 0;
        }
        let left = self.chunk.get(self.given..).unwrap_or_default();
        let given = left.get(..into.remaining()).unwrap_or(left);
        into.put_slice(given);
        let given = given.len();
        self.given += given;
        Poll::Ready(Ok(()))
    }
}
