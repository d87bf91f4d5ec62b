//! Loop devices: files as block devices (loop(4)).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use linux_raw_sys::loop_device::{
    LO_FLAGS_AUTOCLEAR, LO_FLAGS_READ_ONLY, LOOP_CONFIGURE, LOOP_CTL_GET_FREE, loop_config,
    loop_info64,
};

nix::ioctl_none_bad!(get_free, LOOP_CTL_GET_FREE);
nix::ioctl_write_ptr_bad!(configure, LOOP_CONFIGURE, loop_config);

/// How often a free device is asked for, where others take the one that was
/// found.
const ATTEMPTS: usize = 16;

/// A file that is attached to a device, read-only. The device is free again
/// when this value and all mounts of it are gone.
pub struct LoopDevice {
    /// Such as `/dev/loop0`.
    pub path: PathBuf,
    _device: File,
}

/// Attaches a file to a free device. `name` is what tools show of it, cut to
/// what the kernel keeps.
pub fn attach(file: impl AsFd, name: &[u8]) -> io::Result<LoopDevice> {
    let control = File::options()
        .read(true)
        .write(true)
        .open("/dev/loop-control")?;
    let mut info = empty_info();
    info.lo_flags = LO_FLAGS_READ_ONLY as u32 | LO_FLAGS_AUTOCLEAR as u32;
    // The last byte stays NUL.
    let room = info.lo_file_name.len() - 1;
    for (place, byte) in info.lo_file_name[..room].iter_mut().zip(name) {
        *place = *byte;
    }
    let settings = loop_config {
        fd: file.as_fd().as_raw_fd() as u32,
        block_size: 0,
        info,
        __reserved: [0; 8],
    };
    let mut failure = io::Error::from(io::ErrorKind::ResourceBusy);
    for _ in 0..ATTEMPTS {
        // SAFETY: LOOP_CTL_GET_FREE takes no argument.
        let number = unsafe { get_free(control.as_raw_fd()) }?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = File::open(&path)?;
        // SAFETY: the structure lives as long as the call, and is the one that
        // LOOP_CONFIGURE takes.
        match unsafe { configure(device.as_raw_fd(), &raw const settings) } {
            Ok(_) => {
                return Ok(LoopDevice {
                    path,
                    _device: device,
                });
            }
            // Somebody else was faster.
            Err(nix::Error::EBUSY) => failure = nix::Error::EBUSY.into(),
            Err(error) => return Err(error.into()),
        }
    }
    Err(failure)
}

fn empty_info() -> loop_info64 {
    loop_info64 {
        lo_device: 0,
        lo_inode: 0,
        lo_rdevice: 0,
        lo_offset: 0,
        lo_sizelimit: 0,
        lo_number: 0,
        lo_encrypt_type: 0,
        lo_encrypt_key_size: 0,
        lo_flags: 0,
        lo_file_name: [0; _],
        lo_crypt_name: [0; _],
        lo_encrypt_key: [0; _],
        lo_init: [0; _],
    }
}
