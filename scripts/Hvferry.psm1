<#
Hvferry: hvsend.exe and hvrecv.exe as commands of PowerShell, with its progress bar and error records.

Both are thin: they start the program with --json and turn its events into what PowerShell expects.
Not run on Windows by its authors yet: only its grammar was checked.
#>
Set-StrictMode -Version 2.0

function Find-HvProgram([string] $Name) {
    $beside = Join-Path (Split-Path $PSScriptRoot) "$Name.exe"
    if (Test-Path -LiteralPath $beside) { return $beside }
    (Get-Command "$Name.exe" -CommandType Application -ErrorAction Stop | Select-Object -First 1).Source
}

# Names that are not UTF-8 come as path_b64.
function Get-HvEventPath($Item) {
    if ($Item.PSObject.Properties['path']) { return $Item.path }
    if ($Item.PSObject.Properties['path_b64']) {
        return [Text.Encoding]::GetEncoding(28591).GetString([Convert]::FromBase64String($Item.path_b64))
    }
}

function Write-HvProgress($Item, [string] $Activity) {
    $status = '{0:n0} bytes, {1} files' -f $Item.bytes, $Item.files
    $percent = -1
    if ($Item.total_known -and $Item.bytes_total -gt 0) {
        $percent = [Math]::Min(100, [int] (100 * $Item.bytes / $Item.bytes_total))
    }
    Write-Progress -Activity $Activity -Status $status -PercentComplete $percent
}

# One event as what PowerShell has for it; files become objects.
function ConvertFrom-HvEvent($Item, [string] $Activity) {
    switch ($Item.type) {
        'progress' { Write-HvProgress $Item $Activity }
        'warning' { Write-Warning ('{0}: {1}' -f (Get-HvEventPath $Item), $Item.message) }
        'error' { Write-Error -Message $Item.message -ErrorId "hvferry.$($Item.code)" -TargetObject (Get-HvEventPath $Item) }
        'file' { [pscustomobject] @{ Path = Get-HvEventPath $Item; Size = $Item.size } }
        'summary' { Write-Verbose ($Item | ConvertTo-Json -Compress) }
    }
}

# Runs the program. It prints UTF-8, which PowerShell reads as the console's code page unless it is told.
function Invoke-HvProgram([string] $Program, [string[]] $Words, [string] $Activity) {
    $path = Find-HvProgram $Program
    $before = [Console]::OutputEncoding
    [Console]::OutputEncoding = New-Object Text.UTF8Encoding $false
    try {
        & $path --json -P @Words | ForEach-Object { ConvertFrom-HvEvent ($_ | ConvertFrom-Json) $Activity }
        $code = $LASTEXITCODE
    } finally {
        [Console]::OutputEncoding = $before
        Write-Progress -Activity $Activity -Completed
    }
    if ($code -ne 0) {
        Write-Error -Message "$Program ended with exit code $code" -ErrorId "hvferry.exit.$code"
    }
}

function Send-HvFile {
    <#
    .SYNOPSIS
    Sends files and directories to a listening hvrecv.
    .EXAMPLE
    Get-ChildItem D:\images -Filter *.vhdx | Send-HvFile -Destination hyperv://name:build-box:2761
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory, ValueFromPipeline, ValueFromPipelineByPropertyName)] [Alias('FullName')] [string[]] $Path,
        [Parameter(Mandatory)] [string] $Destination,
        [string[]] $Option = @('-rt')
    )
    begin { $all = New-Object 'Collections.Generic.List[string]' }
    process { foreach ($one in $Path) { $all.Add($one) } }
    end { Invoke-HvProgram 'hvsend' ($Option + $all.ToArray() + $Destination) "Sending to $Destination" }
}

function Receive-HvFile {
    <#
    .SYNOPSIS
    Receives into a directory: waits for one hvsend (-Listen), or pulls from a listening one (-Connect).
    .EXAMPLE
    Receive-HvFile -Listen hyperv://any:2761 -Directory D:\inbox
    #>
    [CmdletBinding(DefaultParameterSetName = 'Listen')]
    param(
        [Parameter(Mandatory, ParameterSetName = 'Listen')] [string] $Listen,
        [Parameter(Mandatory, ParameterSetName = 'Connect')] [string] $Connect,
        [Parameter(ParameterSetName = 'Connect', ValueFromPipeline)] [string[]] $Name,
        [Parameter(Mandatory)] [string] $Directory,
        [string[]] $Option = @()
    )
    begin { $all = New-Object 'Collections.Generic.List[string]' }
    process { foreach ($one in $Name) { if ($one) { $all.Add($one) } } }
    end {
        if ($Listen) {
            Invoke-HvProgram 'hvrecv' ($Option + '--once' + '--listen' + $Listen + $Directory) "Receiving at $Listen"
        } else {
            Invoke-HvProgram 'hvrecv' ($Option + '-rt' + '--connect' + $Connect + $all.ToArray() + $Directory) "Receiving from $Connect"
        }
    }
}

Export-ModuleMember -Function @('Send-HvFile', 'Receive-HvFile')
