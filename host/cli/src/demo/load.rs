//! The demo's load: a client that posts log lines to the pipeline at a rate that can be changed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

const STEP: Duration = Duration::from_millis(50);

const LINES: [&str; 6] = [
    "user=ada lang=en The governor's arms rise as the engine gains speed",
    "user=james lang=en Steam is throttled before the shaft can run away",
    "user=crawler lang=en index index index",
    "user=maxwell lang=en Small oscillations die out when friction is enough",
    "user=sofia lang=de Der Regler hält die Drehzahl auch unter Last",
    "user=henri lang=fr La soupape se ferme quand les boules s'écartent",
];

/// Posts until it is stopped.
pub(crate) struct Load {
    per_second: Arc<AtomicU32>,
    accepted: Arc<AtomicU64>,
    posting: JoinHandle<()>,
}

impl Load {
    pub(crate) fn start(to: SocketAddr, per_second: u32) -> Self {
        let rate = Arc::new(AtomicU32::new(per_second));
        let accepted = Arc::new(AtomicU64::new(0));
        let posting = tokio::spawn(post(format!("http://{to}/items"), rate.clone(), accepted.clone()));
        Self { per_second: rate, accepted, posting }
    }

    pub(crate) fn set_rate(&self, per_second: u32) {
        self.per_second.store(per_second, Ordering::Relaxed);
    }

    /// Ends it. How many items the pipeline took.
    pub(crate) async fn stop(self) -> u64 {
        self.set_rate(0);
        self.posting.abort();
        // It was aborted on purpose; what else could it report?
        let _ = self.posting.await;
        self.accepted.load(Ordering::Relaxed)
    }
}

async fn post(url: String, rate: Arc<AtomicU32>, accepted: Arc<AtomicU64>) {
    // Every client wants to know by what it would speak TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // To this machine, whatever proxy the environment names.
    let Ok(client) = reqwest::Client::builder().no_proxy().build() else { return };
    let mut steps = tokio::time::interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut lines = LINES.iter().cycle();
    let mut before = Instant::now();
    let mut owed = 0.0;
    loop {
        steps.tick().await;
        let now = Instant::now();
        owed += f64::from(rate.load(Ordering::Relaxed)) * (now - before).as_secs_f64();
        // A pipeline that could not keep up for a while is not owed a flood.
        owed = owed.min(f64::from(rate.load(Ordering::Relaxed)));
        before = now;
        let mut body = String::new();
        let mut count = 0;
        while owed >= 1.0 {
            owed -= 1.0;
            count += 1;
            if let Some(line) = lines.next() {
                body.push_str(&serde_json::json!({ "line": line }).to_string());
                body.push('\n');
            }
        }
        if count == 0 {
            continue;
        }
        match client.post(&url).header("content-type", "application/x-ndjson").body(body).send().await {
            Ok(answer) if answer.status().is_success() => {
                accepted.fetch_add(count, Ordering::Relaxed);
            }
            Ok(answer) => tracing::debug!(status = %answer.status(), "the pipeline is full"),
            Err(fault) => tracing::debug!(%fault, "the pipeline does not answer"),
        }
    }
}
