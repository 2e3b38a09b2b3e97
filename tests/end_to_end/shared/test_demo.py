"""`make demo`: the synthetic scene is there, and rx finds the planted anomaly."""

import numpy as np
from tests.support.api import open_cube, session
from tests.support.embedded import Embedded

from hsis_embedded import demo


async def test_rx_finds_the_planted_anomaly(embedded: Embedded) -> None:
    async with session(embedded.url, embedded.admin_password) as api:
        item = await api.catalog.item("demo", "synthetic-scene", token=api.token)
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
