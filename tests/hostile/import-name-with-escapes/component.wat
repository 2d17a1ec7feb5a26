(component
  (import "url=<https://x/\1b[2J\nall-is-well>" (instance))
  (instance $empty)
  (export "flyball:plugin/lifecycle@0.1.0" (instance $empty))
  (export "flyball:plugin/assessing@0.1.0" (instance $empty)))
