"""Data sets: cleaned, split by seed so that no sample crosses, and made worse on purpose always alike.

Those whose files are not at hand are skipped with what is missing; how their files are read is tested on made-up
ones.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from functools import lru_cache

import numpy as np
import pytest

from bench.errors import UserError
from bench.quality import METRICS
from bench.zoo.augment.options import Augmentation
from bench.zoo.datasets import DATASETS, load
from bench.zoo.datasets.interactions import Interactions, of_interactions
from bench.zoo.datasets.mnist import read_idx
from bench.zoo.datasets.words import UNKNOWN, VOCABULARY, WordIds, plain
from bench.zoo.files import DataMissing, locate, missing

NAMES = sorted(DATASETS)
CLASSES = {
    "mnist": 10,
    "mnist-32x32x3": 10,
    "digits-28x28": 10,
    "fsdd-random": 10,
    "fsdd-by-speaker": 10,
    "sms-spam": 2,
    "uci-credit-default": 2,
    "newsgroups": 20,
    "interactions-synthetic": 100,
    "movielens-100k": 100,
}
SHAPES = {
    "mnist": [(28, 28, 1)],
    "mnist-32x32x3": [(32, 32, 3)],
    "digits-28x28": [(28, 28, 1)],
    "photo-crops-32x32x3": [(32, 32, 3)],
    "fsdd-random": [(49, 20, 1)],
    "fsdd-by-speaker": [(49, 20, 1)],
    "sms-spam": [(48,)],
    "newsgroups": [(128,)],
    "uci-credit-default": [(28,)],
    "diabetes": [(10,)],
    "line-y-2x": [(1,)],
    "interactions-synthetic": [(1,), (100,)],
    "movielens-100k": [(1,), (100,)],
    "hum-synthetic": [(640,)],
}


# A few at a time: the largest take a gigabyte.
@lru_cache(maxsize=3)
def _loaded(name, seed=0):
    return load(name, seed, locate(DATASETS[name]))


def _at_hand(name, seed=0):
    if locate(DATASETS[name]) is None:
        pytest.skip(missing(DATASETS[name]).what)
    return _loaded(name, seed)


@pytest.fixture(params=NAMES, scope="module")
def name(request):
    return request.param


@pytest.fixture(scope="module")
def data(name):
    return _at_hand(name)


@pytest.fixture(scope="module")
def training(data):
    """The hashes of the training examples."""
    return set() if data.train is None else _rows(data.train.inputs)


def _rows(inputs):
    """A short hash of each example, over all of its inputs."""
    return {
        hashlib.blake2b(b"".join(row.tobytes() for row in rows), digest_size=12).digest()
        for rows in zip(*inputs, strict=True)
    }


def test_no_sample_crosses_from_evaluation_to_training_or_calibration(data, training):
    held_out = _rows(data.evaluation.inputs)
    assert len(held_out) > 50
    assert not held_out & _rows(data.calibration)
    assert not held_out & training
    assert training or data.train is None


def test_calibration_is_a_part_of_the_training_data(data, training):
    assert 0 < len(data.calibration[0]) <= 1024
    if data.train is not None:
        assert _rows(data.calibration) <= training


def test_shapes_types_and_labels_are_those_promised(name, data):
    for inputs in (data.evaluation.inputs, data.calibration, *([data.train.inputs] if data.train else [])):
        assert [array.shape[1:] for array in inputs] == SHAPES[name]
        assert {array.dtype for array in inputs} <= {np.dtype(np.float32), np.dtype(np.int32)}
        assert all(np.isfinite(array).all() for array in inputs)
        assert len({len(array) for array in inputs}) == 1
    for split in filter(None, (data.train, data.evaluation)):
        if name in CLASSES:
            assert split.labels.dtype == np.int64
            assert set(np.unique(split.labels)) == set(range(CLASSES[name]))
        elif split.labels is not None:
            assert split.labels.shape == (len(split), 1)
            assert split.labels.dtype == np.float32


def test_the_name_is_the_title_and_what_was_done_is_told(name, data):
    assert data.name == DATASETS[name].title
    assert data.preprocessing or name == "line-y-2x"
    assert all(line.count > 0 and line.what and line.why for line in data.cleaning)


def test_corruption_changes_evaluation_inputs_and_always_alike(data):
    if data.corrupt is None:
        pytest.skip("nothing is defined for this kind of data")
    chosen = np.array([3, 0, 40])
    clean = [array[chosen] for array in data.evaluation.inputs]
    changed = 0
    for corruption in data.corrupt.names:
        one, same = (data.corrupt(corruption, 5, chosen, np.random.default_rng(7)) for _ in range(2))
        assert [(a.shape, a.dtype) for a in one] == [(a.shape, a.dtype) for a in clean]
        assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
        changed += any(not np.array_equal(a, b) for a, b in zip(one, clean, strict=True))
    assert changed >= len(data.corrupt.names) / 2


def test_what_is_varied_keeps_its_order_and_shape_and_depends_on_the_generator(name):
    if name in ("mnist", "mnist-32x32x3", "fsdd-random"):
        pytest.skip("as digits-28x28 and fsdd-by-speaker, only longer")
    data = _at_hand(name)
    if data.vary is None:
        pytest.skip("nothing is varied")
    options = Augmentation(shift=0.1, noise=0.1, word_dropout=0.3)
    one, same, other = (data.vary(options, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert [(a.shape, a.dtype) for a in one] == [(a.shape, a.dtype) for a in data.train.inputs]
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "name",
    sorted(set(DATASETS) - {"line-y-2x", "mnist", "mnist-32x32x3", "newsgroups", "movielens-100k", "fsdd-random"}),
)
def test_the_seed_fixes_the_split(name):
    first = _at_hand(name)
    again = load(name, 0, locate(DATASETS[name]))
    other = _at_hand(name, 1)
    for one, same in (
        (first.evaluation.inputs, again.evaluation.inputs),
        (first.calibration, again.calibration),
        *([(first.train.inputs, again.train.inputs)] if first.train else []),
    ):
        assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert _rows(first.evaluation.inputs) != _rows(other.evaluation.inputs)


# Images


def test_the_official_test_set_of_mnist_is_whole_and_its_training_set_too():
    data = _at_hand("mnist")
    assert (len(data.train), len(data.evaluation)) == (60_000, 10_000)
    assert (data.evaluation.inputs[0].min(), data.evaluation.inputs[0].max()) == (0, 1)
    assert data.cleaning == ()


def _idx(array):
    return gzip.compress(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes(), mtime=0)


@pytest.fixture
def dirty_mnist(tmp_path):
    """200 and 60 random images; two copies with other labels, one with the same, two that are test images."""
    rng = np.random.default_rng(0)
    train, test = (rng.integers(256, size=(count, 28, 28), dtype=np.uint8) for count in (200, 60))
    labels, test_labels = (np.arange(count, dtype=np.uint8) % 10 for count in (200, 60))
    train[11], train[21] = train[10], train[1]
    train[5:7], test[58] = test[:2], test[8]
    files = {}
    for part, images, digits in (("train", train, labels), ("t10k", test, test_labels)):
        for kind, array in (("images-idx3", images), ("labels-idx1", digits)):
            path = tmp_path / f"{part}-{kind}-ubyte.gz"
            path.write_bytes(_idx(array))
            files[f"mnist/{path.name}"] = path
    return files


def test_copies_leave_the_training_part_of_mnist_and_never_the_test_part(dirty_mnist):
    data = load("mnist", 0, dirty_mnist)
    assert {line.what: line.count for line in data.cleaning} == {
        "copies with different labels: dropped": 2,
        "copies: dropped": 1,
        "training images that are in the test set: dropped": 2,
        "copies within the test set: kept": 1,
    }
    assert (len(data.train), len(data.evaluation)) == (195, 60)


def test_padded_mnist_is_mnist_in_the_middle_three_times(dirty_mnist):
    data, plain_data = (load(name, 0, dirty_mnist) for name in ("mnist-32x32x3", "mnist"))
    images = data.evaluation.inputs[0]
    assert np.array_equal(images[..., 0], images[..., 2])
    assert np.allclose(images[:, 2:-2, 2:-2, :1], plain_data.evaluation.inputs[0] * 255, atol=1e-4)
    assert np.count_nonzero(images) == np.count_nonzero(images[:, 2:-2, 2:-2])


@pytest.mark.parametrize(
    "content",
    [
        b"no gzip",
        gzip.compress(b"", mtime=0),
        gzip.compress(b"\x00\x00\x0d\x01" + bytes(8), mtime=0),
        gzip.compress(b"\x00\x00\x08\x03\x00\x00", mtime=0),
        _idx(np.zeros((3, 28, 28), np.uint8))[:-20],
        gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 9, 28, 28) + bytes(100), mtime=0),
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path, content):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a file of MNIST") as raised:
        read_idx(path)
    assert str(path) in str(raised.value)


def test_digits_are_28_by_28_from_0_to_1():
    data = _loaded("digits-28x28")
    images = np.concatenate([data.train.inputs[0], data.evaluation.inputs[0]])
    assert images.shape == (1797, 28, 28, 1)
    assert (images.min(), images.max()) == (0, 1)


def test_resampling_keeps_the_mean_ink_of_the_original():
    from sklearn.datasets import load_digits

    data = _loaded("digits-28x28")
    images = np.concatenate([data.train.inputs[0], data.evaluation.inputs[0]])
    assert images.mean() == pytest.approx(load_digits().images.mean() / 16, abs=0.01)


def test_photographs_give_over_a_thousand_crops_with_the_range_of_a_camera():
    images = _loaded("photo-crops-32x32x3").evaluation.inputs[0]
    assert len(images) >= 1000
    assert images.min() < 10
    assert images.max() > 245
    # Reduced windows are smoother in themselves than full-size ones, so a variety of scales shows as one of contrast.
    spread = images.std(axis=(1, 2, 3))
    assert np.percentile(spread, 90) > 3 * np.percentile(spread, 10)


# Sound


def test_a_fifth_of_each_digit_is_held_out_and_two_speakers_where_asked():
    by_chance, by_speaker = _at_hand("fsdd-random"), _at_hand("fsdd-by-speaker")
    assert np.bincount(by_chance.evaluation.labels).tolist() == [60] * 10
    assert np.bincount(by_speaker.evaluation.labels).tolist() == [100] * 10
    assert "held out: " in by_speaker.preprocessing


def _wav(wave, rate=8000):
    from scipy.io import wavfile

    file = io.BytesIO()
    wavfile.write(file, rate, wave)
    return file.getvalue()


def test_clips_that_are_none_are_dropped_from_whichever_archive(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "free-spoken-digit-dataset-1.0.10.zip"
    root = "free-spoken-digit-dataset-1.0.10/recordings"
    with zipfile.ZipFile(path, "w") as archive:
        for speaker in ("a", "b", "c"):
            for digit in range(10):
                for number in range(4):
                    wave = (3000 * rng.standard_normal(4000)).astype(np.int16)
                    archive.writestr(f"{root}/{digit}_{speaker}_{number}.wav", _wav(wave))
        archive.writestr(f"{root}/0_a_90.wav", _wav(np.zeros(4000, np.int16)))
        archive.writestr(f"{root}/0_a_91.wav", _wav(wave[:100]))
        archive.writestr(f"{root}/0_a_92.wav", _wav(np.roll(wave, 1), 16000))
        archive.writestr(f"{root}/9_c_93.wav", _wav(wave))
        archive.writestr(f"{root}/1_a_94.wav", _wav(np.tile(wave, 3)))
        archive.writestr("free-spoken-digit-dataset-1.0.10/README.md", "text")
    data = load("fsdd-by-speaker", 0, {f"fsdd/{path.name}": path})
    assert {line.what: line.count for line in data.cleaning} == {
        "clips not at 8000 Hz: dropped": 1,
        "clips below 50 ms: dropped": 1,
        "silent clips: dropped": 1,
        "copies: dropped": 1,
        "clips of more than a second: cut at its end": 1,
    }
    assert len(data.train) + len(data.evaluation) == 121


def test_hum_is_on_the_scale_of_the_model_and_no_band_is_dead():
    frames = _loaded("hum-synthetic").evaluation.inputs[0]
    assert -60 < frames.mean() < 0
    assert frames.std(axis=0).min() > 1
    # Five frames in a row: the next example begins one frame later.
    assert np.array_equal(frames[0, 128:], frames[1, :512])


# Texts


def test_of_messages_that_read_the_same_one_is_left(tmp_path):
    lines = [f"ham\tword{i} of mine {'x' * i}" for i in range(60)]
    lines += [f"spam\twin{i} {'w' * i}" for i in range(60)]
    lines += ["ham\tWord1, of mine: x!", "spam\tword2 of mine xx", "ham\t...", "ham\tso &lt;#&gt; it &amp; is"]
    path = tmp_path / "SMSSpamCollection"
    path.write_text("\n".join(lines) + "\n")
    data = load("sms-spam", 0, {"sms-spam/SMSSpamCollection": path})
    counts = {line.what: line.count for line in data.cleaning}
    assert counts["messages without a word: dropped"] == 1
    assert counts["messages with HTML such as &lt;: written out"] == 1
    assert counts["copies with different labels: dropped"] == 2
    assert counts["copies: dropped"] == 1
    archive = tmp_path / "sms+spam+collection.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(path, "SMSSpamCollection")
    same = load("sms-spam", 0, {f"sms-spam/{archive.name}": archive})
    assert np.array_equal(same.train.inputs[0], data.train.inputs[0])


def test_messages_of_the_real_collection_that_are_copies_are_dropped():
    data = _at_hand("sms-spam")
    (copies,) = [line.count for line in data.cleaning if line.what == "copies: dropped"]
    assert 400 < copies < 600
    assert (
        len(data.train)
        + len(data.evaluation)
        + sum(line.count for line in data.cleaning if line.what.endswith("dropped"))
        == 5574
    )
    assert 0.1 < data.evaluation.labels.mean() < 0.15


def test_only_training_texts_make_the_vocabulary_and_unknown_words_occur_in_training():
    encode = WordIds(["a b c", "a b d", "a, B!"], 4)
    ids = encode(["a b zebra", "A  b", "c a", "", "a a a a a a"])
    assert ids.dtype == np.int32
    a, b, unknown = ids[0][:3]
    assert (a, b) == (2, 3)
    assert unknown == UNKNOWN
    assert ids.tolist() == [[a, b, UNKNOWN, 0], [a, b, 0, 0], [UNKNOWN, a, 0, 0], [0] * 4, [a] * 4]
    many = WordIds([" ".join(f"w{'x' * (i % 97)}{'y' * (i // 97)}" for i in range(9000))] * 2, 9000)
    assert many([" ".join(f"w{'x' * (i % 97)}{'y' * (i // 97)}" for i in range(9000))]).max() == VOCABULARY - 1


def test_numbers_are_known_by_their_length():
    assert plain("Call 0871-2460 NOW!!") == plain("call 1234-5678 now") == "call 00000000 now"


@pytest.fixture
def news(tmp_path):
    """An archive of 20 groups with headers, quotations and signatures, a link, and a name that leads elsewhere."""
    path = tmp_path / "20news-bydate.tar.gz"
    with tarfile.open(path, "w:gz") as archive:

        def add(name, text):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode("latin-1")))

        for part, count in (("train", 5), ("test", 4)):
            for group in "abcdefghijklmnopqrst":
                for number in range(count):
                    own = f"{group * 3} {part} café {'z' * number}"
                    head = f"From: secret{number}@x\nSubject: {group}\n\nIn article <1> you wrote:\n> quoted\n"
                    add(f"20news-bydate-{part}/talk.{group}/{number}", f"{head}{own}\n--\nsigned\n")
        add("20news-bydate-train/talk.a/900", "Subject: empty\n\n> only quoted\n")
        add("20news-bydate-train/talk.a/901", "Subject: copy\n\naaa test caf\xe9\n")
        add("../../evil/20news-bydate-train/talk.a/x", "no number")
        link = tarfile.TarInfo("20news-bydate-train/talk.a/902")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return {"newsgroups/20news-bydate.tar.gz": path}


def test_only_what_an_author_wrote_is_kept_of_a_post(news):
    data = load("newsgroups", 0, news)
    assert (len(data.train), len(data.evaluation)) == (100, 80)
    counts = {line.what: line.count for line in data.cleaning}
    assert counts["posts without a word of their own: dropped"] == 1
    assert counts["copies: dropped"] == 1
    assert set(data.evaluation.labels) == set(range(20))
    words = {word for text in [*data.vary.texts, *data.corrupt.texts] for word in plain(text).split()}
    assert "café" in words
    assert not words & {"from", "subject", "quoted", "signed", "article", "wrote"}


# Tables


def _clients(rows):
    header = ",".join(["ID", *(f"X{i}" for i in range(1, 24)), "Y"])
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


def test_a_dirty_table_of_clients_is_mended_and_reported(tmp_path):
    rng = np.random.default_rng(0)
    clean = [
        [i, 10_000 + i, 1 + i % 2, 1 + i % 4, 1 + i % 3, 20 + i % 50, *[0] * 6, *rng.integers(1, 9999, 12), i % 2]
        for i in range(200)
    ]

    def changed(at, column, value):
        row = list(clean[at])
        row[0], row[1], row[column] = 1000 + column, 90_000 + 100 * at + column, value
        return row

    dirty = [
        changed(0, 3, 0),  # undocumented education
        changed(1, 3, 6),
        changed(2, 4, 0),  # undocumented marriage
        changed(3, 5, 200),  # impossible age
        changed(4, 1, -1),  # impossible limit
        changed(5, 20, -5),  # impossible payment
        changed(6, 2, 7),  # unknown sex
        changed(7, 9, 40),  # impossible state
        changed(8, 24, 3),  # unknown label
        changed(9, 15, ""),  # missing
        changed(10, 15, "n/a"),
        changed(11, 14, -300),  # the bank owes
        changed(12, 20, "1.00E+05"),  # rounded
        [999, *clean[13][1:]],  # a copy
        [998, *clean[14][1:-1], 1 - clean[14][-1]],  # a copy with the other label
    ]
    path = tmp_path / "data.csv"
    path.write_text(_clients([*clean, *dirty]).replace("\n", "\r\n"))
    data = load("uci-credit-default", 0, {"uci-credit-default/data.csv": path})
    counts = {line.what: line.count for line in data.cleaning}
    clipped = counts.pop("amounts outside the percentiles 0.5 to 99.5 of the training part: clipped")
    assert 0 < clipped < 60
    assert counts == {
        "rows with a value missing: dropped": 2,
        "rows with another label than 0 or 1: dropped": 1,
        "rows with another sex than 1 or 2: dropped": 1,
        "rows with an age outside 18 to 110: dropped": 1,
        "rows with a credit limit that is not above 0: dropped": 1,
        "rows with a payment below 0: dropped": 1,
        "rows with a payment state outside -2 to 9: dropped": 1,
        "undocumented education: set to 4 (others)": 2,
        "undocumented marriage: set to 3 (others)": 1,
        "copies with different labels: dropped": 2,
        "copies: dropped": 1,
        "rows with a bill below 0: kept": 1,
        "amounts written like 1.00E+05: kept": 1,
    }
    assert len(data.train) + len(data.evaluation) == 200 + 15 - 11


def test_clients_are_standardised_by_the_training_part_alone():
    data = _at_hand("uci-credit-default")
    numbers = data.train.inputs[0][:, :20]
    assert np.allclose(numbers.mean(axis=0), 0, atol=0.01)
    assert np.allclose(numbers.std(axis=0), 1, atol=0.01)
    flags = data.train.inputs[0][:, 20:]
    assert set(np.unique(flags)) == {0, 1}
    assert np.allclose(flags[:, 1:5].sum(axis=1), 1)
    assert np.allclose(flags[:, 5:].sum(axis=1), 1)
    assert data.evaluation.labels.mean() == pytest.approx(data.train.labels.mean(), abs=0.001)


def test_a_linear_model_beats_chance_on_the_clients_by_far():
    from sklearn.linear_model import LogisticRegression

    data = _at_hand("uci-credit-default")
    fitted = LogisticRegression(max_iter=300).fit(data.train.inputs[0], data.train.labels)
    score = METRICS["auc"](fitted.predict_proba(data.evaluation.inputs[0])[:, 1], data.evaluation.labels)
    assert score.low > 0.70


def test_diabetes_is_as_linear_as_it_is_known_to_be():
    from sklearn.linear_model import LinearRegression

    data = _loaded("diabetes")
    assert np.allclose(data.train.labels.mean(), 0, atol=1e-6)
    fitted = LinearRegression().fit(data.train.inputs[0], data.train.labels)
    assert 0.40 < METRICS["r2"](fitted.predict(data.evaluation.inputs[0]), data.evaluation.labels).value < 0.6


def test_the_line_is_y_equals_2x():
    data = _loaded("line-y-2x")
    assert data.train.inputs[0].ravel().tolist() == [1, 2, 3, 4]
    for split in (data.train, data.evaluation):
        assert np.array_equal(split.labels, 2 * split.inputs[0])


# Interactions


def _pairs(split):
    """Each user with the item that was used."""
    users, candidates = split.inputs
    return set(zip(users[:, 0], candidates[np.arange(len(users)), split.labels], strict=True))


def test_what_is_held_out_is_in_no_training_pair_and_negatives_were_never_used():
    data = _loaded("interactions-synthetic")
    used, held_out = _pairs(data.train), _pairs(data.evaluation)
    assert len(held_out) == 1000
    assert not used & held_out
    users, candidates = data.evaluation.inputs
    for user, row, label in zip(users[:, 0], candidates, data.evaluation.labels, strict=True):
        assert len(set(row)) == 100
        assert not any((user, item) in used for item in np.delete(row, label))


def test_training_negatives_are_new_in_every_epoch_and_may_be_what_is_held_out():
    data = _loaded("interactions-synthetic")
    users, candidates = data.vary(Augmentation(), np.random.default_rng(3))
    used, held_out = _pairs(data.train), _pairs(data.evaluation)
    rows = np.arange(len(users))
    assert np.array_equal(users, data.train.inputs[0])
    assert np.array_equal(candidates[rows, data.train.labels], data.train.inputs[1][rows, data.train.labels])
    drawn = np.ones(candidates.shape, dtype=bool)
    drawn[rows, data.train.labels] = False
    negatives = set(zip(np.repeat(users[:, 0], 99), candidates[drawn], strict=True))
    assert not negatives & used
    # If what is held out were never drawn, a model would know it by its absence.
    assert len(negatives & held_out) > 0.9 * len(held_out)


def test_popularity_beats_chance_and_tastes_beat_popularity():
    data = _loaded("interactions-synthetic")
    assert "synthetic" in data.name
    assert data.baseline.name == "popularity"
    assert 0.2 < data.baseline.value < 0.5
    # A factor model fitted in closed form: the largest singular vectors of who used what.
    users, items = zip(*_pairs(data.train), strict=True)
    table = np.zeros((1000, 800))
    table[users, items] = 1
    left, strength, right = np.linalg.svd(table, full_matrices=False)
    scores = (left[:, :9] * strength[:9]) @ right[:9]
    held, candidates = data.evaluation.inputs
    hits = METRICS["hit_rate_at_10"](scores[held, candidates], data.evaluation.labels).value
    assert hits > data.baseline.value + 0.15


def test_of_ratings_the_last_is_held_out_whatever_the_order_of_the_file(tmp_path):
    rng = np.random.default_rng(0)
    table = [
        (user, item, 1 + item % 5, 1000 + at)
        for user in range(1, 61)
        for at, item in enumerate(rng.permutation(400)[:30] + 1)
    ]
    last = {(user - 1, item - 1) for user, item, _, time in table if time == 1029}
    table += [(61, 5, 3, 1), (1, 2000, 3, 1), (2000, 1, 3, 1), (2, 2, 9, 1)]

    def written(rows):
        path = tmp_path / "u.data"
        path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
        return load("movielens-100k", 0, {"movielens-100k/u.data": path})

    data = written(table)
    assert _pairs(data.evaluation) == last
    assert {line.what.split(":")[0]: line.count for line in data.cleaning} == {
        "ratings outside 1 to 5": 1,
        "people or films with an unknown number": 2,
        "ratings of people with fewer than 5, or with nearly all": 1,
    }
    assert _pairs(data.train).isdisjoint(last)
    other = written([table[at] for at in rng.permutation(len(table))])
    assert np.array_equal(other.evaluation.inputs[1], data.evaluation.inputs[1])
    archive = tmp_path / "ml-100k.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(tmp_path / "u.data", "ml-100k/u.data")
    same = load("movielens-100k", 0, {f"movielens-100k/{archive.name}": archive})
    assert np.array_equal(same.train.inputs[1], other.train.inputs[1])


def test_popularity_is_counted_in_the_training_part_only():
    # 130 items; item 0 is used by all but the last user, whose only other item is his own.
    users = np.array([0, 0, 1, 1, 2, 2])
    items = np.array([0, 1, 0, 2, 3, 0])
    seen = Interactions(users, items, np.array([1, 3, 5]), 3, 130)
    data = of_interactions("made up", 0, seen, (), "")
    # Items 1 and 2 were used by nobody in training: all candidates of theirs tie at about none.
    assert data.baseline.value == pytest.approx((1 + 2 * 10 / 100) / 3, abs=0.02)


# Files that are not what they should be


@pytest.mark.parametrize("content", [b"", b"\x00\xff\x00garbage", b"PK\x03\x04broken", b"\x1f\x8bbroken"])
def test_a_file_that_is_something_else_is_the_users_to_mend(tmp_path, content):
    for spec in DATASETS.values():
        for file in (file for alternatives in spec.files for file in alternatives):
            path = tmp_path / file.path
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            files = {other.path: path for alternatives in spec.files for other in alternatives[:1]}
            files = files if len(spec.files) > 1 else {file.path: path}
            with pytest.raises(UserError) as raised:
                load(spec.name, 0, files)
            assert not isinstance(raised.value, DataMissing)
            assert str(path) in str(raised.value)


def test_an_unknown_name():
    with pytest.raises(UserError, match="unknown data set"):
        load("digit-28x28", 0, {})


def _zip(members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _posts(names, size=9):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(f"20news-bydate-train/{name}/1")
            info.size = size
            archive.addfile(info, io.BytesIO(bytes(size)))
    return packed.getvalue()


CREDIT, FSDD = "uci-credit-default/data.csv", "fsdd/recordings.zip"
NEWS, SMS = "newsgroups/20news-bydate.tar.gz", "sms-spam/sms+spam+collection.zip"
UNKNOWN_LABEL = [1, 20_000, 1, 1, 1, 30, *[0] * 18, 3]
WAVES = {
    f"recordings/{digit}_{speaker}_{number}.wav": _wav(
        np.arange(800, dtype=np.int16) + 1000 * digit + 100 * number + ord(speaker[0])
    )
    for digit in range(10)
    for speaker in ("ann", "bob")
    for number in range(2)
}
ALMOST = {
    "a table of no clients": ("uci-credit-default", CREDIT, _clients([]).encode(), "it has no rows"),
    "a table of no use": ("uci-credit-default", CREDIT, _clients([UNKNOWN_LABEL]).encode(), "cannot be read"),
    "an archive without a recording": ("fsdd-random", FSDD, _zip({"README.md": "text"}), "it holds no recordings"),
    "a recording that is no sound": ("fsdd-random", FSDD, _zip({"recordings/0_a_0.wav": "RIFF"}), "0_a_0.wav: not a"),
    "a recording of hours": ("fsdd-random", FSDD, _zip({"recordings/0_a_0.wav": bytes(1 << 21)}), "a clip is larger"),
    "as many speakers as are held out": ("fsdd-by-speaker", FSDD, _zip(WAVES), "clips of 2 speakers only"),
    "ratings without the time": ("movielens-100k", "movielens-100k/u.data", b"1\t2\t3\n", "3 columns instead of 4"),
    "ratings of nobody": ("movielens-100k", "movielens-100k/u.data", b" \n", "it is empty"),
    "ratings of too few films": ("movielens-100k", "movielens-100k/u.data", b"1\t2\t3\t4\n", "no rating is left"),
    "some of the groups": ("newsgroups", NEWS, _posts(["talk.a", "talk.b"]), "2 groups instead of 20"),
    "a post of megabytes": ("newsgroups", NEWS, _posts(["talk.a"], 2 << 20), "talk.a/1 is larger than"),
    "messages without end": ("sms-spam", SMS, _zip({"SMSSpamCollection": bytes(1 << 25)}), "it is larger than"),
}


@pytest.mark.parametrize("case", ALMOST)
def test_a_file_that_is_almost_the_data_set_says_what_it_lacks(tmp_path, case):
    name, file, content, said = ALMOST[case]
    path = tmp_path / file.rpartition("/")[2]
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as raised:
        load(name, 0, {file: path})
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("kind", "array", "said"),
    [
        ("images-idx3", np.zeros((200, 27, 27), np.uint8), "not images of 28 x 28"),
        ("labels-idx1", np.zeros(199, np.uint8), "a digit for every image"),
        ("labels-idx1", np.full(200, 10, np.uint8), "a digit for every image"),
    ],
)
def test_files_that_are_of_another_set_than_mnist(dirty_mnist, kind, array, said):
    path = dirty_mnist[f"mnist/train-{kind}-ubyte.gz"]
    path.write_bytes(_idx(array))
    with pytest.raises(UserError, match=said) as raised:
        load("mnist", 0, dirty_mnist)
    assert raised.value.where == str(path)
