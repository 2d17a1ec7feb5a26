(component
  (instance $empty)
  (import "url=<https://x/\1b[2J\nall-is-well>" (instance)))
