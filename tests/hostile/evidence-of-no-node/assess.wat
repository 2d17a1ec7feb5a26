;; It targets a node that is not there, and rests on it.
(i32.store8 (i32.const 3012) (i32.const 1)) (i32.store (i32.const 3016) (i32.const 3100)) (i32.store (i32.const 3020) (i32.const 12))
(i32.store8 (i32.const 3200) (i32.const 1)) (i32.store (i32.const 3204) (i32.const 3100)) (i32.store (i32.const 3208) (i32.const 12))
(i32.store (i32.const 3032) (i32.const 3200)) (i32.store (i32.const 3036) (i32.const 1))
(i32.store (i32.const 1200) (i32.const 3000)) (i32.store (i32.const 1204) (i32.const 1))
