;; Each leaves its handle behind.
(loop $again (call $block (call $sleep (i64.const -1))) (br $again))
