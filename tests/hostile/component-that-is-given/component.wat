;; Which component it instantiates is known once it is instantiated itself.
(component
  (component $takes
    (import "part" (component $part))
    (instance (instantiate $part))
    (instance (instantiate $part)))
  (component $part)
  (instance (instantiate $takes (with "part" (component $part)))))
