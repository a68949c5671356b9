//! Starts programs under `mpirun`.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// Ranks wait for each other with time-outs, so only one job runs at a time.
static ONE_JOB: Mutex<()> = Mutex::new(());

/// How a job ended.
#[derive(Debug)]
pub struct Job {
    pub success: bool,
    pub time: Duration,
    pub stdout: String,
    pub stderr: String,
}

impl Job {
    /// Returns how many lines of the output contain this text.
    pub fn count(&self, text: &str) -> usize {
        let lines = self.stdout.lines().chain(self.stderr.lines());
        lines.filter(|line| line.contains(text)).count()
    }
}

/// Returns the path of an example of this crate, which `cargo test` builds before it runs tests.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap();
    let path = folder.join("examples").join(name);
    assert!(
        path.exists(),
        "{path:?} does not exist: run `cargo test -p backprop-mpi`, which builds examples"
    );
    path
}

/// Returns the command that starts a program on this number of ranks.
pub fn mpirun(ranks: usize, program: &str) -> Command {
    let mut command = Command::new("mpirun");
    // More ranks than processors, and as root. Other libraries than Open MPI do not read these.
    command
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1");
    command
        .args(["-n", &ranks.to_string()])
        .arg(example(program));
    command
}

/// Runs a job. It must end within the time, or the test fails.
pub fn run(command: Command, limit: Duration) -> Job {
    start(command).finish(limit)
}

/// A job that has started.
pub struct Running {
    command: String,
    child: Child,
    start: Instant,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
    _alone: MutexGuard<'static, ()>,
}

/// Starts a job, when no other runs.
pub fn start(mut command: Command) -> Running {
    let alone = ONE_JOB.lock().unwrap_or_else(PoisonError::into_inner);
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("NOT CHECKED: {command:?} cannot start ({error}); install openmpi-bin")
        });
    Running {
        command: format!("{command:?}"),
        stdout: reader(child.stdout.take().unwrap()),
        stderr: reader(child.stderr.take().unwrap()),
        child,
        start,
        _alone: alone,
    }
}

impl Running {
    /// Waits for the end. It must come within the time, or the test fails.
    pub fn finish(mut self, limit: Duration) -> Job {
        let in_time = wait(&mut self.child, self.start + limit);
        if !in_time {
            terminate(&mut self.child);
        }
        let job = Job {
            success: self.child.wait().unwrap().success(),
            time: self.start.elapsed(),
            stdout: self.stdout.join().unwrap(),
            stderr: self.stderr.join().unwrap(),
        };
        let command = self.command;
        assert!(in_time, "{command} did not end within {limit:?}: {job:#?}");
        job
    }

    /// Returns the processes that `mpirun` started, as far as Linux shows them.
    pub fn ranks(&self) -> Vec<u32> {
        let is_rank = |process: &u32| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"));
            let stat = stat.unwrap_or_default();
            // After the name, which may contain anything, come the state and the parent.
            let parent = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.split(' ').nth(1));
            parent == Some(&self.child.id().to_string())
        };
        let entries = fs::read_dir("/proc").unwrap();
        let names = entries.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        let processes = names.filter_map(|name| name.parse().ok());
        processes.filter(is_rank).collect()
    }
}

/// Waits for the end of a process until a time. Returns whether it ended.
fn wait(child: &mut Child, until: Instant) -> bool {
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            return false;
        }
        sleep(Duration::from_millis(10));
    }
    true
}

/// Ends a job: `mpirun` ends its ranks on SIGTERM.
fn terminate(child: &mut Child) {
    let id = child.id().to_string();
    let _ = Command::new("kill").args(["-TERM", &id]).status();
    if !wait(child, Instant::now() + Duration::from_secs(10)) {
        let _ = child.kill();
    }
}

fn reader(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
