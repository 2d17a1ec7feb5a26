;; A sleep of centuries, again and again.
(loop $again (call $block (call $sleep (i64.const -1))) (br $again))
