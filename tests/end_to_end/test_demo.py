"""`make demo`: the synthetic scene is there, and rx finds the planted anomaly."""

from pathlib import Path

import numpy as np
from tests.support.api import open_cube, session
from tests.support.embedded import Embedded

from hsis_embedded import demo


async def test_rx_finds_the_planted_anomaly(tmp_path: Path) -> None:
    installation = Embedded.at(tmp_path / "home")
    installation.start("demo")
    try:
        async with session(installation.url, installation.admin_password) as api:
            found = await api.catalog.search({"collections": ["demo"]}, token=api.token)
            [item] = found["features"]
            scene = demo.make_scene()
            stored = open_cube(api.url, api.token, "demo", item["id"])["cube"].values
            np.testing.assert_array_equal(stored, scene.cube)
            job, result = await api.run("rx", collection="demo", item=item["id"])
            assert job.status == "successful", job
            scores = open_cube(api.url, api.token, "demo", result["id"])["cube"].values[0]
            planted = int(scene.anomaly_mask.sum())
            highest = np.argsort(scores, axis=None)[-planted:]
            assert scene.anomaly_mask.ravel()[highest].all()
            library = await api.catalog.spectra("demo", token=api.token)
            names = [spectrum.name for spectrum in library]
            job, _ = await api.run("sam", collection="demo", item=item["id"], library=names)
            assert job.status == "successful", job
    finally:
        installation.stop()
