use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{CacheLimits, ModelAnswer};

/// Answers by the digest of provider, address, model and question.
#[derive(Debug)]
pub(crate) struct Cache {
    limits: CacheLimits,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    answers: LruCache<String, One>,
    bytes: usize,
    hits: Hits,
}

#[derive(Debug)]
struct One {
    answer: ModelAnswer,
    since: Instant,
    bytes: usize,
}

/// How often an answer was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hits {
    /// It was.
    pub known: u64,
    /// It was not, or was too old.
    pub asked: u64,
}

impl Cache {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        let kept = Kept { answers: LruCache::unbounded(), bytes: 0, hits: Hits::default() };
        Self { limits, kept: Mutex::new(kept) }
    }

    pub(crate) fn get(&self, digest: &str) -> Option<ModelAnswer> {
        let kept = &mut *self.kept.lock();
        let age = Duration::from_millis(self.limits.age_ms);
        let found = kept.answers.get(digest).filter(|one| one.since.elapsed() <= age);
        match found.map(|one| one.answer.clone()) {
            Some(answer) => {
                kept.hits.known += 1;
                Some(answer)
            }
            None => {
                kept.hits.asked += 1;
                kept.drop_one(digest);
                None
            }
        }
    }

    pub(crate) fn put(&self, digest: &str, answer: &ModelAnswer) {
        let most = usize::try_from(self.limits.max_kb.saturating_mul(1 << 10)).unwrap_or(usize::MAX);
        let answers = usize::try_from(self.limits.answers).unwrap_or(usize::MAX);
        let bytes = answer.content.bytes().saturating_add(digest.len()).saturating_add(size_of::<One>());
        if bytes > most || answers == 0 {
            return;
        }
        let kept = &mut *self.kept.lock();
        kept.drop_one(digest);
        let one = One { answer: answer.clone(), since: Instant::now(), bytes };
        kept.answers.put(digest.to_owned(), one);
        kept.bytes = kept.bytes.saturating_add(bytes);
        while kept.bytes > most || kept.answers.len() > answers {
            let Some((_, gone)) = kept.answers.pop_lru() else { break };
            kept.bytes = kept.bytes.saturating_sub(gone.bytes);
        }
    }

    pub(crate) fn hits(&self) -> Hits {
        self.kept.lock().hits
    }
}

impl Kept {
    fn drop_one(&mut self, digest: &str) {
        if let Some(gone) = self.answers.pop(digest) {
            self.bytes = self.bytes.saturating_sub(gone.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Content, Stop};

    fn answer(text: &str) -> ModelAnswer {
        ModelAnswer {
            content: Content::Text(text.to_owned()),
            stop: Stop::End,
            tokens: None,
            cost: None,
            request_id: None,
            tries: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_known_until_it_is_too_old() {
        let cache = Cache::new(CacheLimits { age_ms: 1_000, ..CacheLimits::default() });
        assert_eq!(cache.get("a"), None);
        cache.put("a", &answer("x"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.get("a"), Some(answer("x")));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(cache.get("a"), None);
        assert_eq!(cache.hits(), Hits { known: 1, asked: 2 });
        assert_eq!(cache.kept.lock().bytes, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_asked_for_longest_goes_first() {
        let cache = Cache::new(CacheLimits { answers: 2, ..CacheLimits::default() });
        cache.put("a", &answer("1"));
        cache.put("b", &answer("2"));
        assert!(cache.get("a").is_some());
        cache.put("c", &answer("3"));
        assert!(cache.get("b").is_none());
        assert!(cache.get("a").is_some() && cache.get("c").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded_in_bytes_and_can_be_nothing() {
        let cache = Cache::new(CacheLimits { max_kb: 4, ..CacheLimits::default() });
        for n in 0..100 {
            cache.put(&n.to_string(), &answer(&"x".repeat(1_000)));
            assert!(cache.kept.lock().bytes <= 4 << 10);
        }
        assert!(cache.get("99").is_some());
        cache.put("large", &answer(&"x".repeat(5_000)));
        assert!(cache.get("large").is_none() && cache.get("99").is_some());
        let none = Cache::new(CacheLimits { answers: 0, ..CacheLimits::default() });
        none.put("a", &answer("1"));
        assert!(none.get("a").is_none());
    }
}
