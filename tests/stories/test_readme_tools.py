"""The README's own tool: its module, its line in `agents.yaml`, its question, as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

from tests.stories.readme import block
from tests.support.processes import ROOT, Processes

HEADING = "Put in your own tools"


def test_your_own_tool_is_used(tmp_path: Path, processes: Processes) -> None:
    module, line, command = (block(HEADING, language) for language in ("python", "yaml", ""))
    assert len(module.splitlines()) <= 12
    (name,) = re.findall(r", (\w+)\]", line)
    (result,) = re.findall(r'return f".*\}(.*)"', module)
    (tmp_path / f"{name}.py").write_text(module)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    agents = tmp_path / "config/agents.yaml"
    said, times = re.subn(r"^ *tools: .*\n", line, agents.read_text(), flags=re.MULTILINE)
    agents.write_text(said)
    assert times == 1
    program, *arguments = shlex.split(command)
    assert program == "agent"
    process = processes.agent(*arguments, "--json", cwd=tmp_path, env={"PYTHONPATH": str(ROOT)})
    assert process.wait() == 0, process.stderr
    assert result in json.loads(process.stdout)["text"]
