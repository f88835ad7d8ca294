"""``caffe-acu data verify | show``: is a data set whole, and what does it look like."""

import argparse
from pathlib import Path

_LINES = 20  # of findings; a damaged disk can make millions


def register(data_sets) -> None:
    verify = data_sets.add_parser(
        "verify",
        help="prove a prepared data set whole",
        description="Compares every record, table and file of DIR with the digests taken when it was written, and "
        "decodes every image. Exits with 1 if anything differs.",
    )
    verify.add_argument("folder", type=Path, metavar="DIR", help="what `caffe-acu data` made")
    verify.add_argument("--workers", type=int, metavar="N", help="processes (as many as there are cores)")
    verify.set_defaults(run=_run_verify)

    show = data_sets.add_parser(
        "show",
        help="draw random records of a prepared data set",
        description="Writes a sheet of random records with their labels, un-whitened where that is possible, and "
        "prints the statistics of every channel, as the network reads it.",
    )
    show.add_argument("folder", type=Path, metavar="DIR", help="what `caffe-acu data` made")
    show.add_argument("--split", default="train", help="train, test or val (train)")
    show.add_argument("--count", type=int, default=48, metavar="N", help="pictures (48)")
    show.add_argument("--seed", type=int, default=0, help="another one shows other records (0)")
    show.add_argument("--plot", type=Path, metavar="OUT", help="the sheet: .png, .svg or .pdf (DIR-SPLIT.png)")
    show.set_defaults(run=_run_show)


def _run_verify(arguments: argparse.Namespace) -> int:
    from caffe_acu.data.verify import verify

    report = verify(arguments.folder, arguments.workers)
    for line in report.findings[:_LINES]:
        print(line)
    if len(report.findings) > _LINES:
        print(f"and {len(report.findings) - _LINES:,} more")
    looked_at = ", ".join(f"{name} {count:,} records" for name, count in report.records.items())
    print(f"{arguments.folder}: {'DAMAGED' if report.findings else 'whole'} ({looked_at})")
    return 1 if report.findings else 0


def _run_show(arguments: argparse.Namespace) -> None:
    from caffe_acu.data.show import look_at
    from caffe_acu.errors import UserError
    from caffe_acu.plots.contact_sheet import contact_sheet
    from caffe_acu.plots.figures import save

    if arguments.count < 1:
        raise UserError(f"--count is {arguments.count}: it takes 1 or more")
    sheet = look_at(arguments.folder, arguments.split, arguments.count, arguments.seed)
    path = arguments.plot or Path(f"{arguments.folder.absolute().name}-{arguments.split}.png")
    save(contact_sheet(sheet), path)
    print(f"{sheet.title}; statistics of {sheet.records:,}")
    print(f"{'channel':>8} {'mean':>10} {'deviation':>10} {'smallest':>10} {'largest':>10}")
    for channel in sheet.channels:
        values = (channel.mean, channel.deviation, channel.smallest, channel.largest)
        print(f"{channel.name:>8} " + " ".join(f"{value:10.4g}" for value in values))
    print(f"drawn in {path}")
