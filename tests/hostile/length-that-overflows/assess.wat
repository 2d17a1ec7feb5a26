;; 40 bytes each: the product is beyond 32 bits.
(i32.store (i32.const 1200) (i32.const 3000)) (i32.store (i32.const 1204) (i32.const 0x7fffffff))
