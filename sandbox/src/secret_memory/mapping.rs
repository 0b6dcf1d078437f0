//! The one mapping behind an arena: `memfd_secret` where the kernel has it, else locked anonymous pages, in both cases
//! between two pages nobody may touch.

use std::{
    num::NonZeroUsize,
    os::fd::{FromRawFd, OwnedFd},
    ptr::NonNull,
};

use libc::c_void;
use nix::{
    errno::Errno,
    sys::{
        mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap, mmap_anonymous, munmap},
        resource::{Resource, getrlimit, setrlimit},
    },
    unistd::{SysconfVar, ftruncate, sysconf},
};

use super::{Backing, SecretMemoryError};

/// Writable memory for secrets, zeroed at first and unmapped on drop.
pub(super) struct Mapping {
    /// The address range including the guard pages.
    reservation: Reservation,
    backing: Backing,
}

// SAFETY: the pages belong to the process, not to a thread. `Mapping` hands out only their address; the arena gives each
// byte to one slot, whose `&self` and `&mut self` govern access to it.
unsafe impl Send for Mapping {}
// SAFETY: as above: sharing a `Mapping` shares an address.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps at least `length` bytes.
    pub(super) fn new(length: usize) -> Result<Self, SecretMemoryError> {
        raise_lock_limit();
        Self::map(length, Reservation::back_with_memfd_secret)
    }

    /// As on a kernel without `memfd_secret`.
    #[cfg(test)]
    pub(super) fn of_locked_pages(length: usize) -> Result<Self, SecretMemoryError> {
        Self::map(length, |_| Err(Errno::ENOSYS))
    }

    fn map(
        length: usize,
        back_with_memfd_secret: impl FnOnce(&Reservation) -> nix::Result<()>,
    ) -> Result<Self, SecretMemoryError> {
        let refused = |source| SecretMemoryError::Refused {
            needed: length,
            source,
        };
        let page = page_size().map_err(refused)?;
        let reservation = Reservation::new(length.next_multiple_of(page), page).map_err(refused)?;
        // Whatever kept the first from working (absent, disabled, forbidden, over the limit), the second is tried, and
        // its failure is the one to report.
        let backing = match back_with_memfd_secret(&reservation) {
            Ok(()) => Backing::MemfdSecret,
            Err(_) => {
                reservation
                    .back_with_locked_pages()
                    .map_err(|errno| explain(reservation.length, errno))?;
                Backing::LockedPages
            }
        };
        reservation.keep_out_of_dumps_and_children().map_err(refused)?;
        Ok(Self { reservation, backing })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.reservation.body().cast()
    }

    pub(super) fn backing(&self) -> Backing {
        self.backing
    }

    /// Bytes that are mapped, whole pages.
    #[cfg(test)]
    pub(super) fn length(&self) -> usize {
        self.reservation.length
    }
}

/// A range of addresses, inaccessible at first: a guard page, the body, a guard page. A run over the end of the arena,
/// in C code for instance, hits a guard and not another mapping.
struct Reservation {
    first_guard: NonNull<c_void>,
    length: usize,
    page: usize,
}

impl Reservation {
    fn new(length: usize, page: usize) -> nix::Result<Self> {
        let whole = NonZeroUsize::new(length + 2 * page).ok_or(Errno::EINVAL)?;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let first_guard = unsafe {
            mmap_anonymous(
                None,
                whole,
                ProtFlags::PROT_NONE,
                MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
            )
        }?;
        Ok(Self {
            first_guard,
            length,
            page,
        })
    }

    fn body(&self) -> NonNull<c_void> {
        // SAFETY: the reservation is `length + 2 * page` bytes, so one page further is inside it.
        unsafe { self.first_guard.byte_add(self.page) }
    }

    fn body_range(&self) -> nix::Result<(Option<NonZeroUsize>, NonZeroUsize)> {
        Ok((
            Some(self.body().addr()),
            NonZeroUsize::new(self.length).ok_or(Errno::EINVAL)?,
        ))
    }

    fn back_with_memfd_secret(&self) -> nix::Result<()> {
        let file = memfd_secret()?;
        ftruncate(&file, i64::try_from(self.length).map_err(|_| Errno::EFBIG)?)?;
        let (address, length) = self.body_range()?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: MAP_FIXED replaces the body of our own reservation, to which no reference exists yet. The kernel
        // accepts only shared mappings of this file; its only descriptor is closed below and never passed on.
        unsafe {
            mmap(
                address,
                length,
                protection,
                MapFlags::MAP_SHARED | MapFlags::MAP_FIXED,
                &file,
                0,
            )
        }?;
        self.touch();
        Ok(())
    }

    fn back_with_locked_pages(&self) -> nix::Result<()> {
        let (address, length) = self.body_range()?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: MAP_FIXED replaces the body of our own reservation, to which no reference exists yet.
        unsafe {
            mmap_anonymous(
                address,
                length,
                protection,
                MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED,
            )
        }?;
        // SAFETY: the range is the body that was just mapped.
        unsafe { mlock(self.body(), self.length) }
    }

    /// Writes to each page, so that a machine without enough memory fails now and not when a key is loaded.
    fn touch(&self) {
        for offset in (0..self.length).step_by(self.page) {
            // SAFETY: the offset is inside the body.
            let byte = unsafe { self.body().cast::<u8>().add(offset) };
            // SAFETY: the body is mapped writable, and no reference to it exists yet.
            unsafe { byte.write_volatile(0) };
        }
    }

    /// Not in core dumps, and not in a child after fork. MADV_WIPEONFORK would leave the child zeros instead of a hole,
    /// but the kernel has it for private anonymous pages only; no daemon forks, so a hole serves both kinds.
    fn keep_out_of_dumps_and_children(&self) -> nix::Result<()> {
        for advice in [MmapAdvise::MADV_DONTDUMP, MmapAdvise::MADV_DONTFORK] {
            // SAFETY: neither advice changes what this process sees in the range.
            unsafe { madvise(self.body(), self.length, advice) }?;
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and the slots that refer to it keep the arena, hence this value, alive.
        let unmapped = unsafe { munmap(self.first_guard, self.length + 2 * self.page) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}

pub(super) fn memfd_secret() -> nix::Result<OwnedFd> {
    // SAFETY: the call takes flags only.
    let outcome = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let descriptor = i32::try_from(Errno::result(outcome)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel just returned this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn page_size() -> nix::Result<usize> {
    sysconf(SysconfVar::PAGE_SIZE)?
        .and_then(|size| usize::try_from(size).ok())
        .ok_or(Errno::EINVAL)
}

/// The soft limit is a default; the hard limit is what the administrator allows. Failing here is no error: the locking
/// that follows reports the limit if it is too low.
fn raise_lock_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_MEMLOCK)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard);
    }
}

/// `mlock` answers ENOMEM over the limit and EPERM at a limit of zero.
fn explain(needed: usize, errno: Errno) -> SecretMemoryError {
    let limit = getrlimit(Resource::RLIMIT_MEMLOCK).map(|(soft, _)| soft);
    match (errno, limit) {
        (Errno::ENOMEM | Errno::EPERM | Errno::EAGAIN, Ok(limit)) if limit != libc::RLIM_INFINITY => {
            SecretMemoryError::LockLimitTooLow { needed, limit }
        }
        (source, _) => SecretMemoryError::Refused { needed, source },
    }
}
