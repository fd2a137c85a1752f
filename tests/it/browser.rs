//! A browser opens the URL that an upload answered.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::address::STORAGE_HTTP_PORT;
use crate::say::skipped;
use crate::{dev, one_store};

/// A picture of one pixel.
pub(crate) const PICTURE: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_shows_an_uploaded_picture() {
    let Some(browser) = installed() else {
        return skipped(
            "a_browser_shows_an_uploaded_picture",
            "none of chromium and google-chrome is installed",
        );
    };
    let dev = dev::Dev::start().await;
    let uploads = dev.url(STORAGE_HTTP_PORT, "/v1/files");
    let picture = one_store::upload(&uploads, "pixel.gif", PICTURE.to_vec()).await;
    let page = shown_by(&browser, &picture.url);
    // The browser's own page for a picture has the size in its title once it has drawn it.
    assert!(page.contains("(1\u{d7}1)</title>"), "{} in {}: {page}", picture.url, browser.display());

    let text = one_store::upload(&uploads, "note.txt", b"seen by a browser".to_vec()).await;
    let page = shown_by(&browser, &text.url);
    assert!(page.contains(">seen by a browser</pre>"), "{} in {}: {page}", text.url, browser.display());
}

/// The path of a browser, if there is one.
pub(crate) fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |dir| dir.join(name)))
        .find(|path| path.exists())
}

/// The document that `browser` makes of what `url` answers.
fn shown_by(browser: &Path, url: &str) -> String {
    let profile = tempfile::tempdir().expect("a scratch directory");
    let profile: PathBuf = profile.path().join("profile");
    let output = Command::new("timeout")
        .arg("60")
        .arg(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .output()
        .expect("the browser runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
