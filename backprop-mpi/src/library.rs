//! The calls of MPI whose errors the crate `mpi` does not return. The only module with unsafe code.
#![allow(unsafe_code)]

use mpi::environment::Universe;
use mpi::ffi::{self, MPI_Comm, MPI_Request, MPI_Status};
use mpi::topology::{Communicator as _, SimpleCommunicator};
use mpi::traits::AsRaw as _;
use mpi::{Threading, initialize_with_threading};
use std::ffi::c_int;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::rc::Rc;
use std::thread::{self, ThreadId};

/// The tag of all messages.
const TAG: c_int = 0;

/// MPI, from its initialisation to its end. It stays on the thread that initialised it.
pub(crate) struct Library {
    /// All ranks. Messages of other parts of the program, which may be longer than our buffers,
    /// do not arrive here.
    ranks: SimpleCommunicator,
    /// Last, because MPI ends when it is dropped.
    universe: Universe,
    thread: PhantomData<*const ()>,
}

impl Library {
    /// Initialises MPI. An error of a later call returns instead of ending the process.
    pub(crate) fn initialize() -> Result<Self, String> {
        let (universe, level) = initialize_with_threading(Threading::Funneled)
            .ok_or("MPI was already initialised in this process, expected only once")?;
        if level < Threading::Funneled {
            return Err(format!(
                "MPI supports the thread level {level:?}, expected at least Funneled, because \
                 other threads compute"
            ));
        }
        let library = Self {
            ranks: universe.world().duplicate(),
            universe,
            thread: PhantomData,
        };
        for ranks in [library.universe.world().as_raw(), library.raw()] {
            // SAFETY: `library` shows that MPI is initialised, and this is its thread. Both
            // communicators live, and the handler is predefined.
            check(unsafe { ffi::MPI_Comm_set_errhandler(ranks, ffi::RSMPI_ERRORS_RETURN) })?;
        }
        Ok(library)
    }

    /// Returns the number of this rank.
    pub(crate) fn rank(&self) -> Result<usize, String> {
        index(self.ranks.rank())
    }

    /// Returns the number of ranks.
    pub(crate) fn size(&self) -> Result<usize, String> {
        index(self.ranks.size())
    }

    /// Ends all processes of the job.
    pub(crate) fn abort(&self) -> ! {
        self.universe.world().abort(1)
    }

    fn raw(&self) -> MPI_Comm {
        self.ranks.as_raw()
    }

    /// Starts to send these bytes, which others may send too.
    pub(crate) fn send(
        &self,
        to: usize,
        bytes: &Rc<Vec<u8>>,
    ) -> Result<Transfer<Rc<Vec<u8>>>, String> {
        let (to, count) = (int(to)?, int(bytes.len())?);
        let mut transfer = Transfer::new(Rc::clone(bytes));
        // SAFETY: `library` shows that MPI is initialised, and this is its thread. The pointer is
        // that of `count` bytes. They live until the request has ended, because `transfer` owns a
        // share of them and gives it up only then. Until then nobody writes to them: a share lets
        // only read, and `Rc::into_inner` returns nothing while `transfer` has one.
        check(unsafe {
            ffi::MPI_Isend(
                bytes.as_ptr().cast(),
                count,
                ffi::RSMPI_UINT8_T,
                to,
                TAG,
                self.raw(),
                &raw mut transfer.request,
            )
        })?;
        Ok(transfer)
    }

    /// Starts to receive a message that is at most as long as the buffer.
    pub(crate) fn receive(
        &self,
        from: usize,
        mut buffer: Vec<u8>,
    ) -> Result<Transfer<Vec<u8>>, String> {
        let (from, count) = (int(from)?, int(buffer.len())?);
        let bytes = buffer.as_mut_ptr();
        let mut transfer = Transfer::new(buffer);
        // SAFETY: `library` shows that MPI is initialised, and this is its thread. The pointer is
        // that of `count` initialised bytes, which do not move with the vector. They live until the
        // request has ended, because `transfer` owns them and gives them up only then. Until then
        // nobody else reads or writes them.
        check(unsafe {
            ffi::MPI_Irecv(
                bytes.cast(),
                count,
                ffi::RSMPI_UINT8_T,
                from,
                TAG,
                self.raw(),
                &raw mut transfer.request,
            )
        })?;
        Ok(transfer)
    }
}

/// A value that only the thread that created it can reach.
pub(crate) struct OfThread<V> {
    value: V,
    thread: ThreadId,
}

// SAFETY: a shared reference gives the value to its own thread alone, and `OfThread` moves to
// another thread only if the value may. The identifier of a thread is never used again.
unsafe impl<V> Sync for OfThread<V> {}

impl<V> OfThread<V> {
    pub(crate) fn new(value: V) -> Self {
        let thread = thread::current().id();
        Self { value, thread }
    }

    /// Returns the value on its own thread, and `None` on others.
    pub(crate) fn get(&self) -> Option<&V> {
        (thread::current().id() == self.thread).then_some(&self.value)
    }
}

/// A message in progress. It owns its bytes for as long as MPI may use them. If it is dropped
/// before the message has arrived, the bytes are never freed.
pub(crate) struct Transfer<B> {
    request: MPI_Request,
    bytes: ManuallyDrop<B>,
    count: Option<usize>,
}

impl<B> Transfer<B> {
    fn new(bytes: B) -> Self {
        Self {
            // SAFETY: a constant of the C library that nobody writes.
            request: unsafe { ffi::RSMPI_REQUEST_NULL },
            bytes: ManuallyDrop::new(bytes),
            count: None,
        }
    }

    /// Lets MPI work, and returns whether the message has arrived.
    pub(crate) fn poll(&mut self, _: &Library) -> Result<bool, String> {
        if self.count.is_some() {
            return Ok(true);
        }
        let mut arrived = 0;
        let mut status = MaybeUninit::<MPI_Status>::zeroed();
        // SAFETY: the reference to a `Library` shows that MPI is initialised, and this is its
        // thread. The request is that of a call that succeeded, and has not ended.
        check(unsafe {
            ffi::MPI_Test(&raw mut self.request, &raw mut arrived, status.as_mut_ptr())
        })?;
        if arrived == 0 {
            return Ok(false);
        }
        let mut count = 0;
        // SAFETY: as above. MPI has written the status of a request that has ended.
        check(unsafe { ffi::MPI_Get_count(status.as_ptr(), ffi::RSMPI_UINT8_T, &raw mut count) })?;
        self.count = Some(usize::try_from(count).unwrap_or(0));
        Ok(true)
    }

    /// Returns the buffer and the number of bytes in it, if the message has arrived.
    pub(crate) fn arrived(self) -> Option<Arrived<B>> {
        let count = self.count?;
        let bytes = ManuallyDrop::into_inner(self.bytes);
        Some(Arrived { bytes, count })
    }
}

/// The bytes of a message that has arrived.
pub(crate) struct Arrived<B> {
    /// The buffer.
    pub(crate) bytes: B,
    /// The number of bytes that a receiver received. It means nothing to a sender.
    pub(crate) count: usize,
}

fn index(number: c_int) -> Result<usize, String> {
    usize::try_from(number)
        .map_err(|_| format!("MPI returned {number}, expected a number of ranks"))
}

fn int(number: usize) -> Result<c_int, String> {
    c_int::try_from(number).map_err(|_| format!("{number} does not fit in an int of MPI"))
}

/// Returns the text of an error of MPI.
fn check(code: c_int) -> Result<(), String> {
    if code == ffi::MPI_SUCCESS as c_int {
        return Ok(());
    }
    let mut text = [0; ffi::MPI_MAX_ERROR_STRING as usize];
    let mut len = 0;
    // SAFETY: MPI is initialised, since one of its calls failed. The buffer has the length that the
    // standard asks for.
    let told = unsafe { ffi::MPI_Error_string(code, text.as_mut_ptr(), &raw mut len) };
    let len = usize::try_from(len).unwrap_or(0).min(text.len());
    if told != ffi::MPI_SUCCESS as c_int || len == 0 {
        return Err(format!("error {code} of MPI"));
    }
    let text: Vec<u8> = text[..len].iter().map(|&byte| byte as u8).collect();
    Err(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The process is the only rank. MPI starts only once in it, so this is the only test here.
    #[test]
    fn an_error_of_mpi_returns_its_text() {
        let library = Library::initialize().unwrap();
        let bytes = Rc::new(vec![1, 2, 3]);
        let sent = library.send(5, &bytes).err().unwrap();
        assert!(sent.to_lowercase().contains("rank"), "{sent}");
        let received = library.receive(5, vec![0; 3]).err().unwrap();
        assert!(received.to_lowercase().contains("rank"), "{received}");
        let again = Library::initialize().err().unwrap();
        assert!(again.contains("already initialised"), "{again}");
    }
}
