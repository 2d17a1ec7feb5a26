(loop $again (drop (call $len (local.get $now))) (br $again))
