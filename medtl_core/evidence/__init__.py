"""Evidence: records (what was measured), register (what is claimed), verdict and ledger."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "record_store": ["RecordStore", "declare_check", "record_check"],
        "register": ["load_register"],
    },
)
