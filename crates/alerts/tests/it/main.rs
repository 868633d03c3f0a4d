//! What a notifier delivers, as real servers receive it.

mod fake;
