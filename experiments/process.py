"""How a process that runs an experiment begins."""


def begin() -> None:
    """Keep compiled programs for the next run, in the cache folder, and freed memory for the next step."""
    from jaxmeta.data.file_hashes import cache_home
    from jaxmeta.training.runtime import prepare

    prepare(compiled=cache_home() / "compiled")
