//! Notices that the files of the certificate have changed.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Tls;
use crate::base::blocking::off_thread;

/// Between two looks at the files. Certificates are renewed every few weeks; polling also sees links that
/// move, as those of certbot and of Kubernetes do, and needs no rights on the folders above.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Follows changes of the files until `stop`.
pub async fn follow(tls: Tls, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return,
        }
        let tls = tls.clone();
        if off_thread(move |_| tls.look(None)).await.is_err() {
            tracing::error!("A look at the certificate of the client port failed in the host");
        }
    }
}
