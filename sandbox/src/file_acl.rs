//! Who else may read a file: the POSIX access list the permission bits stand in for.
//!
//! A file with an access list shows the list's mask as its group bits. systemd hands a credential to an unprivileged
//! service as a root-owned file of mode 0400 plus an entry for the service's user, which then looks like 0440. Judged by
//! its bits alone such a file is readable by a group; by its list it is not.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

/// One entry of an access list, as linux/posix_acl_xattr.h has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    tag: u16,
    permissions: u16,
    id: u32,
}

/// Permissions and tags of linux/posix_acl.h.
const READ: u16 = 4;
const OWNER: u16 = 0x01;
const NAMED_USER: u16 = 0x02;
const MASK: u16 = 0x10;
/// The one version of the format there is.
const VERSION: u32 = 2;

/// Whether the file has an access list by which nobody but its owner and `uid` may do anything, and `uid` no more than
/// read. A file without a list, or with one that cannot be understood, is `false`.
pub fn grants_only_reading_to(fd: impl AsFd, uid: u32) -> io::Result<bool> {
    // A list of a few entries; a longer one grants too much anyhow.
    let mut list = [0_u8; 256];
    // SAFETY: the name is a C string; `list` is writable for the length that is passed with it.
    let length = unsafe {
        libc::fgetxattr(
            fd.as_fd().as_raw_fd(),
            c"system.posix_acl_access".as_ptr(),
            list.as_mut_ptr().cast(),
            size_of_val(&list),
        )
    };
    if let Ok(length) = usize::try_from(length) {
        return Ok(list
            .get(..length)
            .and_then(parse)
            .is_some_and(|entries| only_reading(&entries, uid)));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENODATA | libc::EOPNOTSUPP | libc::ERANGE) => Ok(false),
        _ => Err(error),
    }
}

fn parse(list: &[u8]) -> Option<Vec<Entry>> {
    let (version, entries) = list.split_first_chunk::<4>()?;
    let (entries, rest) = entries.as_chunks::<8>();
    (u32::from_le_bytes(*version) == VERSION && rest.is_empty()).then(|| {
        entries
            .iter()
            .map(
                |&[tag0, tag1, permissions0, permissions1, id0, id1, id2, id3]| Entry {
                    tag: u16::from_le_bytes([tag0, tag1]),
                    permissions: u16::from_le_bytes([permissions0, permissions1]),
                    id: u32::from_le_bytes([id0, id1, id2, id3]),
                },
            )
            .collect()
    })
}

fn only_reading(entries: &[Entry], uid: u32) -> bool {
    entries.iter().all(|entry| match entry.tag {
        // The mask grants nothing, it bounds what others grant.
        OWNER | MASK => true,
        NAMED_USER if entry.id == uid => entry.permissions & !READ == 0,
        // Other users, groups, everyone, and what a later kernel may add.
        _ => entry.permissions == 0,
    }) && !entries.is_empty()
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, os::unix::fs::PermissionsExt};

    use super::*;

    const OWNING_GROUP: u16 = 0x04;
    const NAMED_GROUP: u16 = 0x08;
    const OTHERS: u16 = 0x20;

    /// What `setfacl -m u:1000:r` makes of a file of mode 0400, with a change.
    fn list(changed_tag: u16, changed: Entry) -> Vec<u8> {
        let entry = |tag, permissions, id| Entry { tag, permissions, id };
        let mut entries = vec![
            entry(OWNER, READ, u32::MAX),
            entry(NAMED_USER, READ, 1000),
            entry(OWNING_GROUP, 0, u32::MAX),
            entry(MASK, READ, u32::MAX),
            entry(OTHERS, 0, u32::MAX),
        ];
        match entries.iter_mut().find(|entry| entry.tag == changed_tag) {
            Some(entry) => *entry = changed,
            None => entries.insert(3, changed),
        }
        let mut list = VERSION.to_le_bytes().to_vec();
        for entry in entries {
            list.extend(entry.tag.to_le_bytes());
            list.extend(entry.permissions.to_le_bytes());
            list.extend(entry.id.to_le_bytes());
        }
        list
    }

    fn judged(tag: u16, permissions: u16, id: u32) -> bool {
        let list = list(tag, Entry { tag, permissions, id });
        parse(&list).is_some_and(|entries| only_reading(&entries, 1000))
    }

    #[test]
    fn one_reader_is_one_reader() {
        assert!(judged(NAMED_USER, READ, 1000));
        assert!(!judged(NAMED_USER, READ, 1001), "another user reads");
        assert!(!judged(NAMED_USER, READ | 2, 1000), "our user writes");
        assert!(!judged(OWNING_GROUP, READ, u32::MAX));
        assert!(!judged(NAMED_GROUP, READ, 100));
        assert!(!judged(OTHERS, READ, u32::MAX));
        assert!(!judged(0x40, READ, 1000), "unknown tag");
    }

    #[test]
    fn what_cannot_be_understood_grants_nothing() {
        let good = list(
            MASK,
            Entry {
                tag: MASK,
                permissions: READ,
                id: u32::MAX,
            },
        );
        assert!(parse(&good).is_some());
        assert_eq!(parse(&good[..good.len() - 1]), None);
        assert_eq!(parse(&[]), None);
        assert_eq!(
            parse(&[&[3, 0, 0, 0], &good[4..]].concat()),
            None,
            "another version"
        );
        assert!(!only_reading(&[], 1000));
    }

    #[test]
    fn a_file_is_asked_for_its_list() {
        let path = std::env::temp_dir().join(format!("chancel-acl-{}", std::process::id()));
        let mut file = fs::File::create_new(&path).expect("creates");
        file.write_all(b"secret").expect("writes");
        file.set_permissions(fs::Permissions::from_mode(0o400))
            .expect("mode");
        assert!(!grants_only_reading_to(&file, 1000).expect("asks"), "no list");
        let list = list(
            MASK,
            Entry {
                tag: MASK,
                permissions: READ,
                id: u32::MAX,
            },
        );
        // SAFETY: name and value are valid for the lengths that are passed.
        let set = unsafe {
            libc::fsetxattr(
                file.as_raw_fd(),
                c"system.posix_acl_access".as_ptr(),
                list.as_ptr().cast(),
                list.len(),
                0,
            )
        };
        fs::remove_file(&path).expect("clean up");
        if set != 0 {
            // A file system without access lists has no such files either.
            assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EOPNOTSUPP));
            return;
        }
        assert_eq!(
            file.metadata().expect("metadata").permissions().mode() & 0o777,
            0o440,
            "as systemd's look"
        );
        assert!(grants_only_reading_to(&file, 1000).expect("asks"));
        assert!(!grants_only_reading_to(&file, 1001).expect("asks"));
    }
}
