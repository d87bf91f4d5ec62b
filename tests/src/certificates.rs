//! Certificates and signatures, made with `openssl`.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::programs::output;
use crate::registry::Identity;

/// The program that is run.
pub const PROGRAM: &str = "openssl";

/// Makes a certificate named `name` in `folder`: an authority that signs itself, or,
/// where `authority` is given, one of it for a server at 127.0.0.1.
///
/// # Errors
/// What `openssl` says.
pub fn certificate(
    folder: &Path,
    name: &str,
    authority: Option<&Identity>,
) -> io::Result<Identity> {
    let identity = Identity {
        certificate: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}.key")),
    };
    // Nothing of this machine's own configuration is wanted.
    let configuration = folder.join("openssl.cnf");
    fs::write(&configuration, "[req]\ndistinguished_name = name\n[name]\n")?;
    let mut command = Command::new(PROGRAM);
    command
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256"])
        .args(["-days", "2", "-subj", &format!("/CN={name}")])
        .arg("-config")
        .arg(&configuration)
        .arg("-keyout")
        .arg(&identity.key)
        .arg("-out")
        .arg(&identity.certificate);
    match authority {
        None => {
            command.args(["-addext", "basicConstraints=critical,CA:TRUE"]);
        }
        Some(authority) => {
            command
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .args(["-addext", "subjectAltName=IP:127.0.0.1"])
                .arg("-CA")
                .arg(&authority.certificate)
                .arg("-CAkey")
                .arg(&authority.key);
        }
    }
    output(&mut command)?;
    Ok(identity)
}

/// A file in base64, in one line.
///
/// # Errors
/// What `openssl` says.
pub fn base64(file: &Path) -> io::Result<String> {
    let bytes = output(
        Command::new(PROGRAM)
            .args(["base64", "-A", "-in"])
            .arg(file),
    )?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// A token of JSON with these claims, signed with RS256.
///
/// # Errors
/// What `openssl` says.
pub fn token(folder: &Path, signer: &Identity, claims: &serde_json::Value) -> io::Result<String> {
    // Of the certificate, which is base64 already.
    let pem = fs::read_to_string(&signer.certificate)?;
    let certificate: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let header = serde_json::json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]});
    let (plain, signature) = (folder.join("token.part"), folder.join("token.signature"));
    let url = |bytes: &[u8]| -> io::Result<String> {
        fs::write(&plain, bytes)?;
        let text = base64(&plain)?;
        Ok(text
            .trim_end_matches('=')
            .replace('+', "-")
            .replace('/', "_"))
    };
    let signed = format!(
        "{}.{}",
        url(header.to_string().as_bytes())?,
        url(claims.to_string().as_bytes())?
    );
    fs::write(&plain, &signed)?;
    let mut command = Command::new(PROGRAM);
    command.args(["dgst", "-sha256", "-sign"]).arg(&signer.key);
    command.arg("-out").arg(&signature).arg(&plain);
    output(&mut command)?;
    Ok(format!("{signed}.{}", url(&fs::read(&signature)?)?))
}
