;; A sleep of centuries, again and again.
(loop $again
  (global.set $sleep-of-now (call $sleep (i64.const -1)))
  (call $block (global.get $sleep-of-now)) (call $wake (global.get $sleep-of-now))
  (br $again))
