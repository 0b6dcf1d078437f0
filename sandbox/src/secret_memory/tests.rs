//! Tests of the arena, each on both kinds of memory where the kernel has both.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::*;

const SECRET: &[u8] = b"a secret that must not stay";

/// The same arena of `memfd_secret`, if there is, and of locked pages.
fn arenas(slots: usize, slot_size: usize) -> [Arc<SecretArena>; 2] {
    let best = SecretArena::new(slots, slot_size).expect("arena");
    let locked = SecretArena::build(slots, slot_size, Mapping::of_locked_pages).expect("locked arena");
    assert_eq!(locked.backing(), Backing::LockedPages);
    [best, locked]
}

/// The bytes of a slot whoever has it, for looking at what was left behind.
fn bytes_of(arena: &SecretArena, index: usize) -> Vec<u8> {
    let start = arena.slot_start(index);
    // SAFETY: the slot is inside the mapping; the tests that call this have no reference to its bytes at that time.
    unsafe { slice::from_raw_parts(start, arena.stride) }.to_vec()
}

fn address_of(slot: &SecretSlot) -> u64 {
    slot.expose().as_ptr().addr().try_into().expect("64-bit address")
}

#[test]
fn a_secret_is_stored_exposed_and_replaced() {
    for arena in arenas(2, 100) {
        assert_eq!(arena.slot_size(), 100);
        let mut slot = arena.claim().expect("slot");
        assert_eq!(slot.expose(), b"");
        slot.store(SECRET).expect("fits");
        assert_eq!(slot.expose(), SECRET);
        assert_eq!(slot.expose().as_ptr().addr() % ALIGNMENT, 0);
        slot.store(b"short").expect("fits");
        assert_eq!(slot.expose(), b"short");
        assert!(
            bytes_of(&arena, slot.index)[5..].iter().all(|byte| *byte == 0),
            "the longer one is gone"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_stays() {
    for arena in arenas(1, 8) {
        let mut slot = arena.claim().expect("slot");
        slot.store(&[7; 8]).expect("fits exactly");
        assert_eq!(
            slot.store(&[7; 9]),
            Err(SlotTooSmall {
                needed: 9,
                slot_size: 8
            })
        );
        assert_eq!(slot.expose(), b"");
        assert!(bytes_of(&arena, slot.index).iter().all(|byte| *byte == 0));
    }
}

#[test]
fn writing_sees_zeros_and_leaves_only_the_secret() {
    for arena in arenas(1, 32) {
        let mut slot = arena.claim().expect("slot");
        slot.store(&[9; 32]).expect("fits");
        let written: Result<(), ()> = slot.write(|bytes| {
            assert_eq!(bytes, [0; 32]);
            bytes.fill(1);
            Ok(4)
        });
        assert_eq!((written, slot.expose()), (Ok(()), [1; 4].as_slice()));
        assert!(
            bytes_of(&arena, slot.index)[4..].iter().all(|byte| *byte == 0),
            "scratch is wiped"
        );

        let failed = slot.write(|bytes| {
            bytes.fill(2);
            Err("no key")
        });
        assert_eq!((failed, slot.expose()), (Err("no key"), [].as_slice()));
        assert!(
            bytes_of(&arena, slot.index).iter().all(|byte| *byte == 0),
            "a failed attempt is wiped"
        );

        slot.write::<()>(|_| Ok(1000)).expect("counts as all");
        assert_eq!(slot.expose().len(), 32);
    }
}

#[test]
fn a_dropped_slot_is_wiped_and_free_again() {
    for arena in arenas(1, 64) {
        let mut slot = arena.claim().expect("slot");
        slot.store(SECRET).expect("fits");
        assert!(
            bytes_of(&arena, 0).starts_with(SECRET),
            "or the next line proves nothing"
        );
        drop(slot);
        assert_eq!(bytes_of(&arena, 0), [0; 64]);
        assert_eq!(arena.claim().expect("free again").expose(), b"");
    }
}

#[test]
fn a_panic_while_writing_leaves_nothing() {
    for arena in arenas(1, 64) {
        let inner = Arc::clone(&arena);
        thread::spawn(move || {
            let mut slot = inner.claim().expect("slot");
            let _ = slot.write::<()>(|bytes| {
                bytes.fill(3);
                panic!("expected by the test");
            });
        })
        .join()
        .expect_err("panicked");
        assert_eq!(bytes_of(&arena, 0), [0; 64]);
        arena.claim().expect("free again");
    }
}

#[test]
fn exhaustion_is_none() {
    for arena in arenas(3, 1) {
        let slots: Vec<_> = (0..3).map(|_| arena.claim().expect("slot")).collect();
        assert!(arena.claim().is_none());
        drop(slots);
        assert!(arena.claim().is_some());
    }
}

#[test]
fn an_impossible_size_is_refused() {
    for (slots, slot_size) in [
        (0, 32),
        (32, 0),
        (usize::MAX, 2),
        (2, usize::MAX),
        (1, isize::MAX.unsigned_abs()),
    ] {
        let refused = SecretArena::new(slots, slot_size);
        assert!(
            matches!(refused, Err(SecretMemoryError::ImpossibleSize { .. })),
            "{slots} x {slot_size}"
        );
    }
}

#[test]
fn debug_output_holds_no_secret() {
    let arena = SecretArena::new(1, 64).expect("arena");
    let mut slot = arena.claim().expect("slot");
    slot.store(SECRET).expect("fits");
    assert_eq!(format!("{slot:?}"), "SecretSlot(..)");
    let text = format!("{arena:?}");
    assert!(
        !text.contains("secret that") && !text.contains("97, 32"),
        "{text}"
    );
}

/// The kernel itself cannot read the page for `/proc/self/mem`. Locked pages it can: the test would notice if the read
/// failed for another reason.
#[test]
fn the_kernel_cannot_read_memfd_secret() {
    let memory = File::open("/proc/self/mem").expect("opens");
    for arena in arenas(1, 64) {
        let mut slot = arena.claim().expect("slot");
        slot.store(SECRET).expect("fits");
        let mut seen = [0; 27];
        let outcome = memory.read_exact_at(&mut seen, address_of(&slot));
        match arena.backing() {
            Backing::MemfdSecret => {
                assert_eq!(outcome.expect_err("must fail").raw_os_error(), Some(libc::EIO));
                assert_eq!(seen, [0; 27]);
            }
            Backing::LockedPages => {
                outcome.expect("readable by the process itself");
                assert_eq!(seen, SECRET);
            }
        }
    }
}

/// The flags the kernel reports: locked, not dumped, not copied on fork.
#[test]
fn the_mapping_is_locked_and_kept_out_of_dumps_and_children() -> io::Result<()> {
    for arena in arenas(1, 64) {
        let start = arena.mapping.start().addr().get();
        let range = format!("{start:08x}-{:08x} ", start + arena.mapping.length());
        let maps = fs::read_to_string("/proc/self/smaps")?;
        let flags = maps
            .lines()
            .skip_while(|line| !line.starts_with(&range))
            .find_map(|line| line.strip_prefix("VmFlags: "))
            .expect("the mapping has its own entry");
        for flag in ["lo", "dd", "dc"] {
            assert!(
                flags.split_whitespace().any(|found| found == flag),
                "{flag} not in {flags}"
            );
        }
    }
    Ok(())
}

#[test]
fn guards_surround_the_mapping() -> io::Result<()> {
    let arena = SecretArena::new(1, 64).expect("arena");
    let start = arena.mapping.start().addr().get();
    let maps = fs::read_to_string("/proc/self/maps")?;
    let guard = |edge: String| {
        maps.lines()
            .any(|line| line.contains(&edge) && line.contains(" ---p "))
    };
    assert!(guard(format!("-{start:08x} ")), "before");
    assert!(guard(format!("{:08x}-", start + arena.mapping.length())), "after");
    Ok(())
}

#[test]
fn threads_never_share_a_slot() {
    const SLOTS: usize = 4;
    for arena in arenas(SLOTS, 48) {
        let served = AtomicUsize::new(0);
        thread::scope(|scope| {
            for worker in 0..8_u8 {
                let (arena, served) = (&arena, &served);
                scope.spawn(move || {
                    for round in 0..2000 {
                        let Some(mut slot) = arena.claim() else {
                            thread::yield_now();
                            continue;
                        };
                        assert_eq!(slot.expose(), b"", "a claimed slot is empty");
                        let length = 1 + round % 48;
                        slot.store(&vec![worker; length]).expect("fits");
                        thread::yield_now();
                        assert!(
                            slot.expose().iter().all(|byte| *byte == worker),
                            "written by another thread"
                        );
                        assert_eq!(slot.expose().len(), length);
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(served.load(Ordering::Relaxed) > 0);
        let free: HashSet<usize> = arena.free().iter().copied().collect();
        assert_eq!(free, (0..SLOTS).collect(), "every slot came back once");
    }
}
